-- Levels that people want to be told about. (after_at, after_id) is the market's time and id of the last trade that does
-- not count any more; `known`: the worker has taken the alert up, and judged it by every trade up to its symbol's mark
CREATE TABLE app.alerts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token      text NOT NULL,
    user_id    bigint NOT NULL,
    symbol     text NOT NULL,
    condition  text NOT NULL CHECK (condition IN ('above', 'below', 'crosses')),
    level      numeric NOT NULL CHECK (level > 0),
    always     boolean NOT NULL,
    channel_id bigint,
    guild_id   bigint,
    dm         boolean NOT NULL,
    state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'fired')),
    armed      boolean NOT NULL DEFAULT true,
    after_at   timestamptz NOT NULL,
    after_id   bigint NOT NULL DEFAULT 0,
    reference  numeric,
    version    integer NOT NULL DEFAULT 1,
    known      boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_id, token)
);
CREATE INDEX ON app.alerts (symbol) WHERE state = 'active';

-- Every time that an alert went off; the notice of the same key says whether its owner was told
CREATE TABLE app.alert_firings (
    alert_id bigint NOT NULL REFERENCES app.alerts ON DELETE CASCADE,
    key      text NOT NULL,
    user_id  bigint NOT NULL,
    at       timestamptz NOT NULL,
    price    numeric NOT NULL,
    before   numeric NOT NULL,
    late_s   double precision NOT NULL,
    gap      boolean NOT NULL,
    PRIMARY KEY (alert_id, key)
);
CREATE INDEX ON app.alert_firings (alert_id, at DESC);

-- The last trade of a symbol by which its known alerts have been judged
CREATE TABLE app.alert_marks (
    symbol   text PRIMARY KEY,
    at       timestamptz NOT NULL,
    trade_id bigint NOT NULL,
    price    numeric NOT NULL
);

-- One row. Who begins to watch raises `generation`, and whoever watched before can write no more
CREATE TABLE app.alert_watch (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation bigint NOT NULL DEFAULT 0,
    paused     boolean NOT NULL DEFAULT true,
    since      timestamptz,
    reason     text NOT NULL DEFAULT 'no worker has looked at the market yet'
);
INSERT INTO app.alert_watch DEFAULT VALUES;

ALTER TABLE app.alerts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.alert_firings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE, DELETE ON app.alerts TO pulse_user;
GRANT SELECT ON app.alert_firings, app.alert_marks, app.alert_watch TO pulse_user;
CREATE POLICY own ON app.alerts TO pulse_user USING (user_id = (SELECT app.uid())) WITH CHECK (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.alert_firings FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));

GRANT SELECT, UPDATE ON app.alerts TO pulse_service;
GRANT SELECT, INSERT ON app.alert_firings TO pulse_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.alert_marks TO pulse_service;
GRANT SELECT, UPDATE ON app.alert_watch TO pulse_service;
CREATE POLICY service_reads ON app.alerts FOR SELECT TO pulse_service USING (true);
CREATE POLICY service_judges ON app.alerts FOR UPDATE TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service_reads ON app.alert_firings FOR SELECT TO pulse_service USING (true);
CREATE POLICY service_judges ON app.alert_firings FOR INSERT TO pulse_service WITH CHECK (true);
