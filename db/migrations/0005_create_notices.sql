-- What people are told: written with the fact, sent by the bot. `due_at` is when a waiting notice may be taken: its time,
-- the end of the lease of the bot that has it, or the time of the next try
CREATE TABLE app.notices (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    urgency      text NOT NULL CHECK (urgency IN ('P0', 'P1', 'P2')),
    kind         text NOT NULL,
    key          text NOT NULL,
    user_id      bigint,
    subject      text NOT NULL,
    private      boolean NOT NULL,
    place        jsonb NOT NULL,
    place_key    text GENERATED ALWAYS AS (
        CASE WHEN private OR (place ->> 'dm')::boolean OR place ->> 'channel_id' IS NULL THEN 'user ' || user_id::text
        ELSE 'channel ' || (place ->> 'channel_id') END
    ) STORED,
    payload      jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'merged', 'missed', 'dead')),
    nonce        text NOT NULL DEFAULT substr(replace(gen_random_uuid()::text, '-', ''), 1, 24),
    tries        integer NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL,
    bot          uuid,
    digest       bigint,
    channel_id   bigint,
    message_id   bigint,
    error        text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    UNIQUE NULLS NOT DISTINCT (user_id, kind, key)
);
CREATE INDEX ON app.notices (urgency, due_at) WHERE state = 'waiting';
CREATE INDEX ON app.notices (bot) WHERE state = 'waiting';
CREATE INDEX ON app.notices (user_id) WHERE state = 'missed';
CREATE INDEX ON app.notices (kind, subject, user_id, id) WHERE subject <> '';
CREATE INDEX ON app.notices (delivered_at) WHERE state <> 'waiting';

ALTER TABLE app.notices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (state, delivered_at) ON app.notices TO pulse_user;
CREATE POLICY own ON app.notices TO pulse_user USING (user_id = (SELECT app.uid())) WITH CHECK (user_id = (SELECT app.uid()));
GRANT SELECT, INSERT, UPDATE, DELETE ON app.notices TO pulse_service;
CREATE POLICY service ON app.notices TO pulse_service USING (true) WITH CHECK (true);

-- Direct channels that we have opened: Discord lets a bot open few in a while, and they are for ever
CREATE TABLE app.direct_channels (
    user_id    bigint PRIMARY KEY,
    channel_id bigint NOT NULL
);
ALTER TABLE app.direct_channels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON app.direct_channels TO pulse_service;
CREATE POLICY service ON app.direct_channels TO pulse_service USING (true) WITH CHECK (true);

-- Channels that refuse us; not personal. Closed ones are not tried again until somebody sets something up there
CREATE TABLE app.refusing_channels (
    channel_id bigint PRIMARY KEY,
    refusals   integer NOT NULL,
    reason     text NOT NULL,
    closed_at  timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.refusing_channels TO pulse_service;
