-- What Fineract said of a payment that no run sends, and so none finds there: its money was given back, its
-- report was withdrawn, or a person ruled it out. This database may have been restored from a backup that is
-- older than its posting. One that stands there is recorded as any other posting, and has no row here.
CREATE TABLE "CORE"."CORE_LEDGER_ANSWER" (
    source_key  text PRIMARY KEY,
    external_id text NOT NULL,      -- what was asked for
    answer      text NOT NULL CHECK (answer IN (
        'absent',                   -- Fineract has no such transaction, or no such loan
        'undone',                   -- it was posted and reversed; nothing stands in its place
        'differs'                   -- something stands, and it is not the payment as it is known here
    )),
    words       text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    incarnation text NOT NULL       -- the answer counts as long as this is the database's
);
CREATE INDEX core_ledger_answer_incarnation ON "CORE"."CORE_LEDGER_ANSWER" (incarnation);

-- Which course of events this database is on, and of which ledger. An answer that came back with a restore
-- may be older than a posting that the restore forgot, so it counts only in the incarnation that it was
-- given to: a restored dump makes the table anew, a copied database has another number, and recovery from
-- a base backup, like a standby that takes over, begins a new time line.
CREATE FUNCTION "CORE".incarnation() RETURNS text LANGUAGE sql STABLE
RETURN md5(concat_ws(
    ' ',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    '"CORE"."CORE_LEDGER_ANSWER"'::regclass::oid,
    left(pg_walfile_name(pg_current_wal_lsn()), 8),
    (SELECT base_url || ' ' || tenant FROM "CORE"."CORE_LEDGER_IDENTITY")
));

-- Those that a run is to ask about.
CREATE INDEX core_exception_asked_first ON "CORE"."CORE_EXCEPTION" (id)
WHERE closed_at IS NULL AND kind = 'asked_first';

-- What waits for a decision is asked about by the next run; nothing else of what was before.
INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key)
SELECT source_key FROM "CORE"."CORE_EXCEPTION"
WHERE closed_at IS NULL AND kind IN ('refunded', 'late_return') AND source_key IS NOT NULL
ON CONFLICT DO NOTHING;
