-- Accounts, tickets, orders and their fills; and the books of the paper broker.
-- People read their own rows as pulse_user; whatever moves money is written by the service, with the owner in its WHERE.

CREATE TABLE app.accounts (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id   bigint NOT NULL,
    broker    text NOT NULL,
    label     text NOT NULL,
    mode      text NOT NULL CHECK (mode IN ('PAPER', 'LIVE')),
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    UNIQUE (user_id, id)
);
CREATE UNIQUE INDEX one_open_account ON app.accounts (user_id, broker) WHERE closed_at IS NULL;

CREATE TABLE app.limits (
    user_id    bigint PRIMARY KEY,
    max_order  numeric CHECK (max_order > 0),
    max_day    numeric CHECK (max_day > 0),
    drift_bp   integer CHECK (drift_bp BETWEEN 0 AND 500),
    collar_bp  integer NOT NULL CHECK (collar_bp BETWEEN 1 AND 200),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- scope global: subject ''; broker: its name; user: the id. No row means ACTIVE
CREATE TABLE app.trading_states (
    scope   text NOT NULL CHECK (scope IN ('global', 'broker', 'user')),
    subject text NOT NULL,
    state   text NOT NULL CHECK (state IN ('active', 'reducing', 'halted')),
    reason  text NOT NULL,
    set_by  bigint NOT NULL,
    set_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, subject)
);

CREATE TABLE app.previews (
    user_id         bigint NOT NULL,
    token           text NOT NULL,
    account_id      bigint NOT NULL,
    client_order_id text NOT NULL,
    symbol          text NOT NULL,
    side            text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity        integer NOT NULL CHECK (quantity > 0),
    limit_price     numeric CHECK (limit_price > 0),
    tif             text NOT NULL CHECK (tif IN ('day', 'gtc', 'ioc')),
    worst           numeric NOT NULL CHECK (worst > 0),
    bid             numeric NOT NULL,
    ask             numeric NOT NULL,
    accepted        text[] NOT NULL,
    state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'consumed', 'cancelled', 'expired', 'superseded')),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, token),
    FOREIGN KEY (user_id, account_id) REFERENCES app.accounts (user_id, id)
);

-- Interactions that have pressed Confirm: Discord delivers some of them twice
CREATE TABLE app.presses (
    user_id        bigint NOT NULL,
    interaction_id bigint NOT NULL,
    token          text NOT NULL,
    pressed_at     timestamptz NOT NULL,
    PRIMARY KEY (user_id, interaction_id)
);

CREATE TABLE app.orders (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id         bigint NOT NULL,
    token           text NOT NULL,
    account_id      bigint NOT NULL,
    client_order_id text NOT NULL UNIQUE CHECK (client_order_id ~ '^[a-z0-9-]{1,48}$'),
    symbol          text NOT NULL,
    side            text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity        integer NOT NULL CHECK (quantity > 0),
    limit_price     numeric CHECK (limit_price > 0),
    tif             text NOT NULL CHECK (tif IN ('day', 'gtc', 'ioc')),
    worst           numeric NOT NULL CHECK (worst > 0),
    state           text NOT NULL CHECK (state IN (
        'confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel',
        'filled', 'canceled', 'expired', 'rejected', 'denied', 'void', 'needs_review')),
    filled          integer NOT NULL DEFAULT 0 CHECK (filled >= 0),
    cost            numeric NOT NULL DEFAULT 0,
    version         integer NOT NULL DEFAULT 1,
    reason          text,
    place           jsonb NOT NULL,
    cancel_asked    boolean NOT NULL DEFAULT false,
    -- what a send leaves behind; `sends` fences off whoever comes back late from an earlier one
    sends           integer NOT NULL DEFAULT 0,
    sent_at         timestamptz,
    misses          integer NOT NULL DEFAULT 0,
    deadline        timestamptz NOT NULL,
    -- from when on anybody may take the order up; ahead while somebody works on it, NULL when nothing is left to do
    look_at         timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    UNIQUE (user_id, token),
    FOREIGN KEY (user_id, token) REFERENCES app.previews,
    FOREIGN KEY (user_id, account_id) REFERENCES app.accounts (user_id, id)
);
CREATE INDEX orders_due ON app.orders (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX orders_latest ON app.orders (user_id, id DESC);
CREATE INDEX orders_of_account ON app.orders (account_id, created_at DESC);
CREATE INDEX orders_open ON app.orders (user_id, account_id, symbol)
    WHERE state IN ('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review');

CREATE TABLE app.fills (
    account_id   bigint NOT NULL REFERENCES app.accounts,
    execution_id text NOT NULL,
    user_id      bigint NOT NULL,
    order_id     bigint NOT NULL REFERENCES app.orders,
    quantity     integer NOT NULL CHECK (quantity > 0),
    price        numeric NOT NULL CHECK (price > 0),
    filled_at    timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, execution_id)
);
CREATE INDEX fills_of_order ON app.fills (order_id);

CREATE TABLE app.audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id  bigint NOT NULL,
    at       timestamptz NOT NULL,
    event    text NOT NULL,
    order_id bigint,
    detail   jsonb NOT NULL
);
CREATE INDEX audit_of_user ON app.audit (user_id, id DESC);
CREATE INDEX audit_of_order ON app.audit (order_id) WHERE order_id IS NOT NULL;

ALTER TABLE app.accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.limits   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.previews ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.presses  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.orders   ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.fills    ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE app.audit    ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT ON app.accounts, app.previews, app.orders, app.fills, app.audit TO pulse_user;
GRANT SELECT, INSERT, UPDATE ON app.limits TO pulse_user;
CREATE POLICY own ON app.accounts FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.previews FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.orders FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.fills FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.audit FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
CREATE POLICY own ON app.limits TO pulse_user USING (user_id = (SELECT app.uid())) WITH CHECK (user_id = (SELECT app.uid()));

-- no DELETE anywhere; fills, presses and the audit take no UPDATE either
GRANT SELECT, INSERT, UPDATE ON app.accounts, app.previews, app.orders, app.trading_states TO pulse_service;
GRANT SELECT, INSERT ON app.fills, app.audit, app.presses TO pulse_service;
GRANT SELECT ON app.limits TO pulse_service;
CREATE POLICY service ON app.accounts TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.previews TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.orders TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.fills TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.audit TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.presses TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service ON app.limits FOR SELECT TO pulse_service USING (true);

-- The paper broker's own books. It knows accounts, not people, and nobody but the service may look.
CREATE TABLE app.paper_accounts (
    account_id   bigint PRIMARY KEY REFERENCES app.accounts,
    opening_cash numeric NOT NULL CHECK (opening_cash > 0),
    cash         numeric NOT NULL CHECK (cash >= 0)
);

CREATE TABLE app.paper_orders (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id      bigint NOT NULL REFERENCES app.paper_accounts,
    client_order_id text NOT NULL UNIQUE,
    symbol          text NOT NULL,
    side            text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity        integer NOT NULL CHECK (quantity > 0),
    limit_price     numeric NOT NULL CHECK (limit_price > 0),
    tif             text NOT NULL CHECK (tif IN ('day', 'gtc', 'ioc')),
    state           text NOT NULL CHECK (state IN ('working', 'filled', 'canceled', 'expired')),
    filled          integer NOT NULL DEFAULT 0 CHECK (filled BETWEEN 0 AND quantity),
    expires_at      timestamptz,
    -- the quote that the order last met: the size it shows can be taken once
    met_at          timestamptz,
    accepted_at     timestamptz NOT NULL
);
CREATE INDEX paper_orders_working ON app.paper_orders (account_id, symbol) WHERE state = 'working';

-- `held` counts the shares of a buy that are not sold yet: first bought is first sold
CREATE TABLE app.paper_fills (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   bigint NOT NULL REFERENCES app.paper_orders,
    account_id bigint NOT NULL REFERENCES app.paper_accounts,
    symbol     text NOT NULL,
    side       text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity   integer NOT NULL CHECK (quantity > 0),
    price      numeric NOT NULL CHECK (price > 0),
    held       integer NOT NULL CHECK (held BETWEEN 0 AND quantity),
    realised   numeric NOT NULL,
    filled_at  timestamptz NOT NULL
);
CREATE INDEX paper_fills_of_order ON app.paper_fills (order_id);
CREATE INDEX paper_fills_of_account ON app.paper_fills (account_id, symbol, id);
CREATE INDEX paper_fills_held ON app.paper_fills (account_id, symbol, id) WHERE held > 0;

GRANT SELECT, INSERT, UPDATE ON app.paper_accounts, app.paper_orders, app.paper_fills TO pulse_service;
