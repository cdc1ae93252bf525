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
-- so that an order's id is known before its row, its audit entry and its notice are written by one statement
GRANT USAGE ON SEQUENCE app.orders_id_seq TO pulse_service;
