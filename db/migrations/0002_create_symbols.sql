-- Every symbol that a feed lists; not personal, so without row-level security
CREATE TABLE app.symbols (
    feed   text NOT NULL,
    symbol text NOT NULL,
    name   text NOT NULL,
    PRIMARY KEY (feed, symbol)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.symbols TO pulse_service;
