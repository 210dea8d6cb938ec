-- Who uses the operations screens, and what they did there.

ALTER TABLE "CORE"."CORE_USER"
ADD COLUMN must_change_password boolean NOT NULL DEFAULT false,
ADD COLUMN password_changed_at timestamptz NOT NULL DEFAULT now();

-- A log-in. The cookie holds the token; only its hash is kept, so a copy of the table logs nobody in.
CREATE TABLE "CORE"."CORE_SESSION" (
    token_hash   bytea PRIMARY KEY,
    user_name    text NOT NULL REFERENCES "CORE"."CORE_USER" (name) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX core_session_user ON "CORE"."CORE_SESSION" (user_name);
CREATE INDEX core_session_age ON "CORE"."CORE_SESSION" (created_at);

-- The audit log only grows.
CREATE FUNCTION "CORE".refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'CORE_AUDIT_LOG only grows: % is refused', tg_op
    USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER core_audit_log_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON "CORE"."CORE_AUDIT_LOG"
FOR EACH STATEMENT EXECUTE FUNCTION "CORE".refuse_audit_change();
CREATE INDEX core_audit_log_subject ON "CORE"."CORE_AUDIT_LOG" (subject, id);
CREATE INDEX core_audit_log_who ON "CORE"."CORE_AUDIT_LOG" (who, id);
CREATE INDEX core_audit_log_action ON "CORE"."CORE_AUDIT_LOG" (action text_pattern_ops, id);

-- What the list pages read, in the order in which they page. A page over all lenders takes the
-- first rows of each, so one index serves it with and without a lender.
DROP INDEX "CORE".core_open_work_state;
CREATE INDEX core_open_work_state ON "CORE"."CORE_OPEN_WORK" (state, source_lender, payment_date, source_key);
CREATE INDEX core_processed_page ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_lender, payment_date, source_key)
WHERE status = 'success';
CREATE INDEX core_processed_failed ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key) INCLUDE (error_code)
WHERE status = 'failed';
CREATE INDEX core_file_log_page ON "CORE"."CORE_FILE_LOG" (source_lender, id);
CREATE INDEX core_quarantine_page ON "CORE"."CORE_QUARANTINE" (raw_table, id);
CREATE INDEX core_hold_waiting ON "CORE"."CORE_HOLD" (id) WHERE decision IS NULL;
CREATE INDEX core_exception_waiting ON "CORE"."CORE_EXCEPTION" (id) WHERE closed_at IS NULL;
CREATE INDEX core_exception_key ON "CORE"."CORE_EXCEPTION" (source_key);
