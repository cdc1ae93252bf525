-- Browsers that somebody has signed in with. `id` is the hash of the cookie: whoever reads this table opens no session
CREATE TABLE app.web_sessions (
    id         bytea PRIMARY KEY CHECK (length(id) = 32),
    user_id    bigint NOT NULL,
    name       text NOT NULL,
    created_at timestamptz NOT NULL,
    used_at    timestamptz NOT NULL
);
CREATE INDEX ON app.web_sessions (used_at);

-- Sign-ins with Discord that have begun. State and browser are hashes; what is sealed opens with the browser's cookie only
CREATE TABLE app.sign_ins (
    state      bytea PRIMARY KEY CHECK (length(state) = 32),
    browser    bytea NOT NULL CHECK (length(browser) = 32),
    sealed     bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON app.sign_ins (expires_at);

ALTER TABLE app.web_sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.sign_ins ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (used_at), DELETE ON app.web_sessions TO pulse_service;
GRANT SELECT, INSERT, DELETE ON app.sign_ins TO pulse_service;
CREATE POLICY service ON app.web_sessions TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.sign_ins TO pulse_service USING (true) WITH CHECK (true);
