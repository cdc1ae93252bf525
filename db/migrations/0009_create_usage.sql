-- What people chose, beside the theme: `numbers` is the locale whose separators they read (none: Discord's),
-- `private` keeps answers about the market to themselves
ALTER TABLE app.preferences
    DROP CONSTRAINT preferences_theme_check,
    ADD CHECK (theme IN ('dark', 'light', 'colour-blind', 'colour-blind-light')),
    ADD numbers text CHECK (numbers <> ''),
    ADD private boolean NOT NULL DEFAULT false;

-- The plan that billing or the operator gave; none: DEFAULT_PLAN. People write all of their profile but this
ALTER TABLE app.profiles ADD plan text CHECK (plan IN ('free', 'pro', 'elite'));
REVOKE INSERT, UPDATE ON app.profiles FROM pulse_user;
GRANT INSERT (user_id, locale), UPDATE (user_id, locale) ON app.profiles TO pulse_user;
GRANT INSERT (user_id, locale, plan), UPDATE (plan) ON app.profiles TO pulse_service;
CREATE POLICY service_begins ON app.profiles FOR INSERT TO pulse_service WITH CHECK (true);
CREATE POLICY service_plans ON app.profiles FOR UPDATE TO pulse_service USING (true) WITH CHECK (true);
CREATE TRIGGER notify AFTER INSERT OR UPDATE OF plan ON app.profiles
    FOR EACH ROW EXECUTE FUNCTION app.notify_preferences();

-- Uses a day; the same numbers as in services/plans.py, which a test compares. NULL is without a limit
CREATE TABLE app.tier_limits (
    plan text,
    kind text,
    most integer CHECK (most >= 0),
    PRIMARY KEY (plan, kind)
);
INSERT INTO app.tier_limits (plan, kind, most) VALUES
    ('free', 'quote', 200), ('pro', 'quote', 5000), ('elite', 'quote', NULL),
    ('free', 'chain', 50), ('pro', 'chain', 1000), ('elite', 'chain', NULL),
    ('free', 'chart', 50), ('pro', 'chart', 1000), ('elite', 'chart', NULL),
    ('free', 'export', 5), ('pro', 'export', 100), ('elite', 'export', NULL);
GRANT SELECT ON app.tier_limits TO pulse_service, pulse_user;

-- What each person used on a day of New York, and what processes have set aside to answer from without asking each time
CREATE TABLE app.usage_counters (
    user_id bigint,
    day     date,
    kind    text CHECK (kind IN ('quote', 'chain', 'chart', 'export')),
    used    integer NOT NULL CHECK (used >= 0),
    aside   integer NOT NULL DEFAULT 0 CHECK (aside >= 0),
    PRIMARY KEY (user_id, day, kind)
);
CREATE INDEX ON app.usage_counters (day);

ALTER TABLE app.usage_counters ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT ON app.usage_counters TO pulse_user;
CREATE POLICY own ON app.usage_counters FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
GRANT SELECT, INSERT, UPDATE (used, aside), DELETE ON app.usage_counters TO pulse_service;
CREATE POLICY service_reads ON app.usage_counters FOR SELECT TO pulse_service USING (true);
CREATE POLICY service_begins ON app.usage_counters FOR INSERT TO pulse_service WITH CHECK (true);
CREATE POLICY service_counts ON app.usage_counters FOR UPDATE TO pulse_service USING (true) WITH CHECK (true);
CREATE POLICY service_tidies ON app.usage_counters FOR DELETE TO pulse_service USING (day < current_date - 7);

-- The limit holds whoever counts: beyond it a use is refused, and of several at once those that fit are counted. What is
-- set aside is a tenth of what is left at most, so that near the limit each use is asked for by itself. The counter is
-- locked by its own update: no two uses can both be the last one
CREATE FUNCTION app.check_tier_limits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    used_before  integer := CASE tg_op WHEN 'UPDATE' THEN old.used ELSE 0 END;
    aside_before integer := CASE tg_op WHEN 'UPDATE' THEN old.aside ELSE 0 END;
    most         integer;
    room         integer;
BEGIN
    IF new.used < used_before THEN
        RAISE 'what was used stays used';
    END IF;
    IF new.used + new.aside <= used_before + aside_before THEN
        RETURN new;
    END IF;
    SELECT tier_limits.most INTO STRICT most FROM app.tier_limits
    WHERE kind = new.kind AND plan = coalesce(
        (SELECT plan FROM app.profiles WHERE user_id = new.user_id),
        nullif(current_setting('app.default_plan', true), ''),
        'free');
    IF most IS NULL THEN
        new.aside := aside_before;
        RETURN new;
    END IF;
    room := most - used_before - aside_before;
    IF room <= 0 AND new.used > used_before THEN
        RETURN NULL;
    END IF;
    new.used := least(new.used, used_before + greatest(room, 0));
    room := room - (new.used - used_before);
    new.aside := aside_before + greatest(0, least(new.aside - aside_before, room / 10, most / 10 - aside_before));
    RETURN new;
END
$$;
CREATE TRIGGER check_tier_limits BEFORE INSERT OR UPDATE ON app.usage_counters
    FOR EACH ROW EXECUTE FUNCTION app.check_tier_limits();

-- Counts one use, and those of what was set aside, and sets more aside. Refused: `aside` is what processes hold, and
-- they are asked to give it back.
-- A crash of the server may lose its last half second of counts: each answer would wait for its disk otherwise
CREATE FUNCTION app.take_use(
    default_plan text, person bigint, on_day date, of_kind text, spent integer, wish integer,
    OUT allowed boolean, OUT aside integer
) LANGUAGE plpgsql AS $$
DECLARE
    held integer;
BEGIN
    PERFORM set_config('app.default_plan', default_plan, true), set_config('synchronous_commit', 'off', true);
    INSERT INTO app.usage_counters (user_id, day, kind, used) VALUES (person, on_day, of_kind, 0) ON CONFLICT DO NOTHING;
    UPDATE app.usage_counters AS c SET used = c.used + spent, aside = greatest(0, c.aside - spent)
    WHERE (c.user_id, c.day, c.kind) = (person, on_day, of_kind) RETURNING c.aside INTO held;
    UPDATE app.usage_counters AS c SET used = c.used + 1, aside = c.aside + wish
    WHERE (c.user_id, c.day, c.kind) = (person, on_day, of_kind) RETURNING c.aside - held INTO aside;
    allowed := found;
    IF NOT allowed THEN
        aside := held;
        IF held > 0 THEN
            PERFORM pg_notify('usage', person::text);
        END IF;
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION app.take_use TO pulse_service;

-- Counts uses that were not asked for one by one, as far as they fit
CREATE FUNCTION app.count_uses(default_plan text, people bigint[], days date[], kinds text[], uses integer[])
    RETURNS void LANGUAGE sql AS $$
    SELECT set_config('app.default_plan', default_plan, true);
    INSERT INTO app.usage_counters AS present (user_id, day, kind, used)
    SELECT * FROM unnest(people, days, kinds, uses) AS spent (user_id, day, kind, used) ORDER BY user_id, day, kind
    ON CONFLICT (user_id, day, kind) DO UPDATE SET used = present.used + excluded.used;
$$;
GRANT EXECUTE ON FUNCTION app.count_uses TO pulse_service;

-- What each person asked for last, newest first
CREATE TABLE app.recent_symbols (
    user_id bigint PRIMARY KEY,
    symbols text[] NOT NULL CHECK (cardinality(symbols) <= 10)
);
ALTER TABLE app.recent_symbols ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT ON app.recent_symbols TO pulse_user;
CREATE POLICY own ON app.recent_symbols FOR SELECT TO pulse_user USING (user_id = (SELECT app.uid()));
GRANT SELECT, INSERT, UPDATE ON app.recent_symbols TO pulse_service;
CREATE POLICY service ON app.recent_symbols TO pulse_service USING (true) WITH CHECK (true);
