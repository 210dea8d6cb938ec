-- The application adds to RAW and changes nothing there, so it can neither lock nor analyse its tables:
-- these two functions of the owner do that for it, and for tables of RAW only.

-- Moves the cut of a RAW table to its greatest id. SHARE mode waits for every writer; the caller sets
-- lock_timeout. Each statement has a snapshot of its own, so the second sees what the first waited for.
CREATE FUNCTION "CORE".advance_raw_cut(wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM "CORE"."CORE_RAW_CUT" WHERE raw_table = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no RAW table %', wanted USING ERRCODE = 'undefined_table';
    END IF;
    EXECUTE format('LOCK TABLE "RAW".%I IN SHARE MODE', wanted);
    EXECUTE format(
        'UPDATE "CORE"."CORE_RAW_CUT" SET cut_id = newest.id, cut_at = clock_timestamp() '
        'FROM (SELECT max(id) AS id FROM "RAW".%I) newest '
        'WHERE raw_table = %L AND cut_id < newest.id', wanted, wanted
    );
END
$$;

CREATE FUNCTION "CORE".analyze_raw(wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM "CORE"."CORE_RAW_CUT" WHERE raw_table = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no RAW table %', wanted USING ERRCODE = 'undefined_table';
    END IF;
    EXECUTE format(
        'ANALYZE "RAW".%I (id, file_id, replaces_id, landed_at, loan_ref, payment_ref, outcome)', wanted
    );
END
$$;

REVOKE EXECUTE ON FUNCTION "CORE".advance_raw_cut(text), "CORE".analyze_raw(text) FROM public;

-- What an attempt came to stays; that it was undone in the ledger later is another fact.
CREATE FUNCTION "CORE".refuse_attempt_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    old.undone_at := new.undone_at;
    IF old IS DISTINCT FROM new THEN
        RAISE EXCEPTION 'attempt % is settled: a change is refused', old.id
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER core_posting_attempt_settled
BEFORE UPDATE ON "CORE"."CORE_POSTING_ATTEMPT" FOR EACH ROW
WHEN (old.settled_at IS NOT NULL) EXECUTE FUNCTION "CORE".refuse_attempt_change();

-- Which ledger this database posts to is settled by the first request that may have arrived there.
CREATE FUNCTION "CORE".refuse_another_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM "CORE"."CORE_POSTING_ATTEMPT"
        WHERE (outcome = 'not_applied' AND error_code = 'connection') IS NOT TRUE
    ) THEN
        RAISE EXCEPTION 'this database has posted to another ledger: a change is refused'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN new;
END
$$;
CREATE TRIGGER core_ledger_identity_settled
BEFORE UPDATE ON "CORE"."CORE_LEDGER_IDENTITY" FOR EACH ROW EXECUTE FUNCTION "CORE".refuse_another_ledger();
