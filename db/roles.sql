-- The three roles and the schema, run by `pulse migrate` while they are missing; an administrator may run it instead, once per database,
-- and then: GRANT pulse_owner, pulse_service TO <the login of DATABASE_URL>;
--   pulse_owner    owns the schema; migrations run as this role
--   pulse_service  is what bot, web and worker are
--   pulse_user     is what they become for one person's rows (app.user_id)
DO $$
DECLARE
    role name;
BEGIN
    FOREACH role IN ARRAY ARRAY['pulse_owner', 'pulse_service', 'pulse_user']::name[] LOOP
        IF to_regrole(role::text) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;

    -- INHERIT FALSE: the policies of pulse_user bind the service only after SET ROLE
    IF NOT pg_has_role('pulse_service', 'pulse_user', 'SET') THEN
        GRANT pulse_user TO pulse_service WITH INHERIT FALSE;
    END IF;

    FOREACH role IN ARRAY ARRAY['pulse_owner', 'pulse_service']::name[] LOOP
        IF NOT pg_has_role(current_user, role, 'SET') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT FALSE', role);
        END IF;
    END LOOP;

    IF to_regnamespace('app') IS NULL THEN
        CREATE SCHEMA app AUTHORIZATION pulse_owner;
    END IF;
END
$$;
