-- What makes a database that tests have used as it was: kept in the template, and so in each copy.
-- Rows and the clock go back; a test that changed more leaves another shape(), and a new copy is made.

CREATE SCHEMA pristine;

-- By how much what lands is dated later than now, and by how much it was when the template was made.
CREATE TABLE pristine.clock (later interval, at_first interval);

-- The tables of RAW have it in their default: what writes there knows nothing of a clock.
CREATE FUNCTION pristine.land_later() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    landing regclass;
BEGIN
    FOR landing IN
        SELECT attrelid FROM pg_attribute INNER JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = '"RAW"'::regnamespace AND relkind = 'r' AND attname = 'landed_at'
    LOOP
        EXECUTE format(
            'ALTER TABLE %s ALTER landed_at SET DEFAULT now()%s',
            landing, ' + ' || quote_literal(nullif(NEW.later, '0')) || '::interval'
        );
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER land_later AFTER UPDATE ON pristine.clock
FOR EACH ROW EXECUTE FUNCTION pristine.land_later();

-- From now on what lands is dated as if it were ten in the morning of that day in Asia/Kolkata, and
-- time goes on from there. With null it is dated now, by the very default of the migrations.
CREATE FUNCTION pristine.set_clock(today date) RETURNS void LANGUAGE sql AS $$
    UPDATE pristine.clock
    SET later = coalesce((today + time '10:00') AT TIME ZONE 'Asia/Kolkata' - now(), interval '0')
$$;

CREATE TABLE pristine.sequence AS
SELECT format('%I.%I', schemaname, sequencename)::regclass AS name, start_value, last_value
FROM pg_sequences;

DO $$
DECLARE
    kept record;
    has_rows boolean;
BEGIN
    FOR kept IN
        SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname IN ('RAW', 'CORE')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', kept.name) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE pristine.%I AS TABLE %s', kept.name, kept.name);
        END IF;
    END LOOP;
END
$$;

-- Tables, columns, views, indexes, triggers, constraints and functions; not their rows.
CREATE FUNCTION pristine.shape() RETURNS text LANGUAGE sql AS $$
    SELECT md5(concat(
        (
            SELECT string_agg(concat_ws(' ', c.oid, c.relname, c.reloptions, c.relchecks), ',' ORDER BY c.oid)
            FROM pg_class c WHERE c.relnamespace::regnamespace::text !~ '^pg_|information_schema'
        ),
        (SELECT string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_rewrite WHERE oid > 16384),
        (SELECT count(*) FROM pg_attribute WHERE attrelid > 16384),
        (SELECT string_agg(concat_ws(' ', oid, tgenabled), ',' ORDER BY oid) FROM pg_trigger),
        (SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_constraint),
        (SELECT sum(hashtext(prosrc)) || ' ' || count(*) FROM pg_proc WHERE oid > 16384)
    ))
$$;

CREATE FUNCTION pristine.restore() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    used text;
    kept record;
BEGIN
    SELECT string_agg(c.oid::regclass::text, ', ') INTO used
    FROM pg_class c
    WHERE c.relnamespace::regnamespace::text IN ('"RAW"', '"CORE"') AND c.relkind = 'r'
        AND pg_relation_size(c.oid) > 0;
    EXECUTE 'TRUNCATE ' || used || ' CASCADE';
    FOR kept IN
        SELECT tablename AS name FROM pg_tables
        WHERE schemaname = 'pristine' AND tablename NOT IN ('sequence', 'clock')
    LOOP
        EXECUTE format('INSERT INTO %s OVERRIDING SYSTEM VALUE SELECT * FROM pristine.%I', kept.name, kept.name);
    END LOOP;
    PERFORM setval(name, coalesce(last_value, start_value), last_value IS NOT NULL)
    FROM pristine.sequence;
    UPDATE pristine.clock SET later = at_first WHERE later <> at_first;
END
$$;
