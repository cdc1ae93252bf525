-- The channels where a guild sees the levels of the open and the summary of the close; not personal
CREATE TABLE app.boards (
    guild_id   bigint,
    channel_id bigint,
    symbols    text[] NOT NULL CHECK (cardinality(symbols) > 0),
    set_by     bigint NOT NULL,
    set_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (guild_id, channel_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.boards TO pulse_service;
