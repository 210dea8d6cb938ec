-- Files that correct earlier files, and replays: what the processing log and the quarantine know
-- of them.

-- A row of a file is landed, quarantined, or a duplicate: it stood in the file that this one
-- supersedes, or the whole file had landed before.
ALTER TABLE "CORE"."CORE_FILE_LOG" ADD COLUMN rows_duplicate integer NOT NULL DEFAULT 0;
-- Rows of the superseded file that this one no longer has.
ALTER TABLE "CORE"."CORE_FILE_LOG" ADD COLUMN rows_withdrawn integer NOT NULL DEFAULT 0;
ALTER TABLE "CORE"."CORE_FILE_LOG" DROP CONSTRAINT "CORE_FILE_LOG_check";
ALTER TABLE "CORE"."CORE_FILE_LOG" ADD CONSTRAINT core_file_log_rows
CHECK (rows_read = rows_landed + rows_quarantined + rows_duplicate);
-- A file is superseded once; a further correction supersedes the file that did.
CREATE UNIQUE INDEX core_file_log_superseded ON "CORE"."CORE_FILE_LOG" (supersedes)
WHERE status = 'landed';
-- An earlier version that is wanted back lands again, in the place of the file that took its place;
-- its first entry then names the new one. Otherwise the same bytes land once per source.
ALTER TABLE "CORE"."CORE_FILE_LOG" ADD COLUMN restored_by bigint REFERENCES "CORE"."CORE_FILE_LOG" (id);
DROP INDEX "CORE".core_file_log_bytes;
CREATE UNIQUE INDEX core_file_log_bytes ON "CORE"."CORE_FILE_LOG" (raw_table, sha256)
WHERE status = 'landed' AND restored_by IS NULL;

-- A quarantined row that a replay could read has landed after all; its record stays.
-- `cells` is as RAW keeps them, null where the text is no whole row; `replayed_as` is the row of RAW
-- that it became.
ALTER TABLE "CORE"."CORE_QUARANTINE" ADD COLUMN cells jsonb;
ALTER TABLE "CORE"."CORE_QUARANTINE" ADD COLUMN replayed_at timestamptz;
ALTER TABLE "CORE"."CORE_QUARANTINE" ADD COLUMN replayed_as bigint;
CREATE INDEX core_quarantine_table ON "CORE"."CORE_QUARANTINE" (raw_table) WHERE replayed_at IS NULL;
