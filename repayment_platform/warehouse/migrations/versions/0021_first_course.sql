-- Which course of events this database is on, as incarnation() without the ledger.
CREATE FUNCTION "CORE".course() RETURNS text LANGUAGE sql STABLE
RETURN md5(concat_ws(
    ' ',
    (SELECT system_identifier FROM pg_control_system()),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    '"CORE"."CORE_LEDGER_ANSWER"'::regclass::oid,
    left(pg_walfile_name(pg_current_wal_lsn()), 8)
));

-- On another course than when it first posted, the database was restored: that it knows of no request then
-- proves of no payment that none was made.
ALTER TABLE "CORE"."CORE_LEDGER_IDENTITY" ADD COLUMN first_course text NOT NULL DEFAULT "CORE".course();
-- Of a snapshot a person says so; which ledger it is stays as settled.
DROP TRIGGER core_ledger_identity_settled ON "CORE"."CORE_LEDGER_IDENTITY";
CREATE TRIGGER core_ledger_identity_settled
BEFORE UPDATE OF base_url, tenant ON "CORE"."CORE_LEDGER_IDENTITY"
FOR EACH ROW EXECUTE FUNCTION "CORE".refuse_another_ledger();
