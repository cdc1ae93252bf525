-- What belongs to each change of an order is written by functions, so that one statement can do all of it: every round
-- trip between a press and its answer counts.

CREATE FUNCTION app.add_audit(person bigint, moment timestamptz, what text, about bigint, details jsonb) RETURNS void
    LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    INSERT INTO app.audit (user_id, at, event, order_id, detail) VALUES (person, moment, what, about, details);
END
$$;

-- The id of the notice; NULL where the person has one of that kind and key
CREATE FUNCTION app.add_notice(
    class text, sort text, name text, person bigint, about text, secret boolean, spot jsonb, facts jsonb, after interval
) RETURNS bigint
    LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    added bigint;
BEGIN
    INSERT INTO app.notices (urgency, kind, key, user_id, subject, private, place, payload, due_at)
    VALUES (class, sort, name, person, about, secret, spot, facts, pg_catalog.now() + after)
    ON CONFLICT (user_id, kind, key) DO NOTHING RETURNING id INTO added;
    -- whoever looks for notices looks again by itself until a delayed one is due
    IF added IS NOT NULL AND after = '0' THEN
        PERFORM pg_catalog.pg_notify('notices', class);
    END IF;
    RETURN added;
END
$$;

GRANT EXECUTE ON FUNCTION app.add_audit, app.add_notice TO pulse_user, pulse_service;
GRANT USAGE ON SEQUENCE app.orders_id_seq TO pulse_service;

-- Changes whenever anything changes that a new order of the account is judged by: its orders, the kill switch, the
-- person's limits, the account itself
CREATE FUNCTION app.order_stamp(person bigint, account bigint) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = '' AS $$
BEGIN
    RETURN (SELECT pg_catalog.concat_ws('|',
        (SELECT pg_catalog.concat(count(*), ':', sum(version)) FROM app.orders
            WHERE user_id = person AND account_id = account AND state IN
            ('confirmed', 'submitting', 'unknown', 'working', 'partial', 'pending_cancel', 'needs_review')),
        (SELECT pg_catalog.concat(max(id), ':', sum(version)) FROM (
            SELECT id, version FROM app.orders WHERE account_id = account ORDER BY created_at DESC LIMIT 50) AS latest),
        (SELECT pg_catalog.string_agg(scope || subject || state, ',' ORDER BY scope, subject) FROM app.trading_states
            WHERE scope IN ('global', 'broker') OR (scope = 'user' AND subject = person::text)),
        (SELECT coalesce(max_order, 0) || ':' || coalesce(max_day, 0) || ':' || coalesce(drift_bp, -1) || ':' || collar_bp
            FROM app.limits WHERE user_id = person),
        (SELECT closed_at FROM app.accounts WHERE id = account)
    ));
END
$$;

-- Makes the order of an open ticket with its audit entry, its notice and the job that settles it: 'placed'. 'gone' where
-- another press was first or its time is over; 'changed' where `seen` is not the stamp any more. The locks: no two orders
-- of a person are placed at once, and whatever the kill switch stops has not been let through a moment later
CREATE FUNCTION app.place_order(
    person bigint, ticket text, press bigint, moment timestamptz, seen text, switch bigint,
    order_id bigint, spot jsonb, send_before timestamptz, details jsonb, facts jsonb, sort text, name text
) RETURNS text
    LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    taken app.previews;
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock_shared(switch), pg_catalog.pg_advisory_xact_lock(person);
    IF EXISTS (SELECT FROM app.presses WHERE user_id = person AND interaction_id = press) THEN
        RETURN 'gone';
    END IF;
    SELECT * INTO taken FROM app.previews
        WHERE user_id = person AND token = ticket AND state = 'open' AND expires_at > moment FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'gone';
    END IF;
    IF app.order_stamp(person, taken.account_id) IS DISTINCT FROM seen THEN
        RETURN 'changed';
    END IF;
    UPDATE app.previews SET state = 'consumed' WHERE user_id = person AND token = ticket;
    INSERT INTO app.presses (interaction_id, user_id, token, pressed_at) VALUES (press, person, ticket, moment);
    INSERT INTO app.orders (id, user_id, token, account_id, client_order_id, symbol, side, quantity, limit_price, tif,
        worst, state, place, deadline, look_at, created_at, updated_at)
    OVERRIDING SYSTEM VALUE VALUES (order_id, person, ticket, taken.account_id, taken.client_order_id, taken.symbol,
        taken.side, taken.quantity, taken.limit_price, taken.tif, taken.worst, 'confirmed', spot, send_before, moment,
        moment, moment);
    PERFORM app.add_audit(person, moment, 'order confirmed', order_id, details),
        -- the answer to the press says it first; the notice is for the case that it never comes
        app.add_notice('P0', sort, name, person, ticket, true, spot, facts, '1 second'),
        app.enqueue('settle', pg_catalog.jsonb_build_object('order_id', order_id), 'settle:' || order_id, '0');
    RETURN 'placed';
END
$$;

GRANT EXECUTE ON FUNCTION app.order_stamp, app.place_order TO pulse_service;
