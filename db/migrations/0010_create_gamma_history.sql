-- Gamma levels of a symbol at the slots of the timetable (market time); not personal. Exposures are dollars per 1 % move,
-- levels prices; both are statistics of a chain, never money, so they are floats
CREATE TABLE app.gamma_history (
    symbol        text,
    slot          timestamptz,
    closing       boolean NOT NULL,
    as_of         timestamptz NOT NULL,
    source        text NOT NULL,
    delay         interval NOT NULL,
    spot          double precision NOT NULL,
    net           double precision NOT NULL,
    gross         double precision NOT NULL,
    flip          double precision,
    call_wall     double precision,
    put_wall      double precision,
    abs_gamma     double precision,
    max_pain      double precision,
    expected_move double precision,
    zero_dte      double precision NOT NULL,
    coverage      double precision NOT NULL,
    stored_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (symbol, slot)
);
CREATE INDEX gamma_history_closes ON app.gamma_history (symbol, slot) WHERE closing;
CREATE INDEX gamma_history_intraday ON app.gamma_history (slot) WHERE NOT closing;
GRANT SELECT, INSERT, DELETE ON app.gamma_history TO pulse_service;

-- What came of the newest slot of a symbol; without an error it was stored
CREATE TABLE app.gamma_syncs (
    symbol text PRIMARY KEY,
    slot   timestamptz NOT NULL,
    error  text
);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.gamma_syncs TO pulse_service;

-- Contracts open at the end of a day, in total and by strike: the arrays are of one length
CREATE TABLE app.open_interest (
    symbol  text,
    day     date,
    source  text NOT NULL,
    calls   bigint NOT NULL,
    puts    bigint NOT NULL,
    strikes double precision[] NOT NULL,
    call_oi integer[] NOT NULL,
    put_oi  integer[] NOT NULL,
    PRIMARY KEY (symbol, day),
    CHECK (cardinality(strikes) = cardinality(call_oi) AND cardinality(strikes) = cardinality(put_oi))
);
GRANT SELECT, INSERT ON app.open_interest TO pulse_service;

-- Messages that a channel keeps and that are edited in place; `token` is the subject of their notices
CREATE TABLE app.watches (
    channel_id bigint PRIMARY KEY,
    guild_id   bigint,
    user_id    bigint NOT NULL,
    token      text NOT NULL UNIQUE,
    symbols    text[] NOT NULL CHECK (cardinality(symbols) > 0),
    every_min  integer NOT NULL CHECK (every_min > 0),
    set_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX watches_of_guild ON app.watches (guild_id);
CREATE INDEX watches_of_user ON app.watches (user_id);

ALTER TABLE app.watches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT ON app.watches TO pulse_user;
CREATE POLICY own ON app.watches FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
GRANT SELECT, INSERT, UPDATE, DELETE ON app.watches TO pulse_service;
CREATE POLICY service ON app.watches TO pulse_service USING (true) WITH CHECK (true);
