-- Work that outlives processes. `due_at` is when a job may be started: of a waiting one its time, of a started one the
-- end of its worker's lease, or the time of the next try
CREATE TABLE app.jobs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    payload    jsonb NOT NULL,
    dedupe_key text,
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'started', 'held')),
    starts     integer NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT now(),
    worker     uuid,
    error      text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON app.jobs (name, due_at) WHERE state <> 'held';
CREATE INDEX ON app.jobs (due_at) WHERE state = 'started';
CREATE INDEX ON app.jobs (worker) WHERE state = 'started';
CREATE INDEX ON app.jobs (id) WHERE state = 'held';
-- One waits and one is at work at most; the second waits for the first
CREATE UNIQUE INDEX jobs_waiting_key ON app.jobs (dedupe_key) WHERE state = 'waiting';
CREATE UNIQUE INDEX jobs_started_key ON app.jobs (dedupe_key) WHERE state = 'started';
GRANT SELECT, INSERT, UPDATE, DELETE ON app.jobs TO pulse_service;

-- Callable by people's transactions, who cannot read the table. The conflict takes the row's lock rather than doing
-- nothing: otherwise the waiting job could start before the caller commits, and miss what it was told to look at
CREATE FUNCTION app.enqueue(job text, about jsonb, key text, after interval) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$
    INSERT INTO app.jobs AS present (name, payload, dedupe_key, due_at)
    VALUES (job, about, key, pg_catalog.now() + after)
    ON CONFLICT (dedupe_key) WHERE state = 'waiting'
        DO UPDATE SET due_at = least(present.due_at, excluded.due_at);
    SELECT pg_catalog.pg_notify('jobs', job);
$$;
GRANT EXECUTE ON FUNCTION app.enqueue TO pulse_user, pulse_service;

-- The ticks of the timetable: whoever inserts one does its work
CREATE TABLE app.ticks (
    name       text,
    slot       text,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, slot)
);
CREATE INDEX ON app.ticks (claimed_at);
GRANT SELECT, INSERT, DELETE ON app.ticks TO pulse_service;
