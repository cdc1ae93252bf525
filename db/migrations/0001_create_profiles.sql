-- PostgreSQL lets PUBLIC run every new function unless told otherwise
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT USAGE ON SCHEMA app TO pulse_service, pulse_user;
GRANT SELECT ON app.migrations TO pulse_service;

-- Who the transaction works for; NULL, which no policy matches, outside of db.as_user()
CREATE FUNCTION app.uid() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user_id', true), '')::bigint;
GRANT EXECUTE ON FUNCTION app.uid() TO pulse_user;

CREATE TABLE app.profiles (
    user_id    bigint PRIMARY KEY,
    locale     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE app.preferences (
    user_id    bigint PRIMARY KEY REFERENCES app.profiles ON DELETE CASCADE,
    theme      text NOT NULL CHECK (theme IN ('dark', 'light', 'colour-blind')),
    updated_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE app.profiles ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.preferences ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE ON app.profiles, app.preferences TO pulse_user;
CREATE POLICY own ON app.profiles TO pulse_user USING (user_id = (SELECT app.uid())) WITH CHECK (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.preferences TO pulse_user USING (user_id = (SELECT app.uid())) WITH CHECK (user_id = (SELECT app.uid()));

GRANT SELECT ON app.profiles, app.preferences TO pulse_service;
CREATE POLICY service ON app.profiles FOR SELECT TO pulse_service USING (true);
CREATE POLICY service ON app.preferences FOR SELECT TO pulse_service USING (true);

CREATE FUNCTION app.notify_preferences() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('preferences', new.user_id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER notify AFTER INSERT OR UPDATE ON app.preferences FOR EACH ROW EXECUTE FUNCTION app.notify_preferences();
