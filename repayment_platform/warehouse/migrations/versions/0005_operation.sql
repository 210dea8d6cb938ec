-- What the platform remembers to watch over itself.

-- Something that a person should know of, from when it was first seen to when it was over.
CREATE TABLE "CORE"."CORE_INCIDENT" (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind             text NOT NULL,        -- run_failed, check_failed, backlog, silent, circuit_open
    subject          text NOT NULL,        -- which job, check, lender or table
    detail           text NOT NULL,
    opened_at        timestamptz NOT NULL DEFAULT now(),
    resolved_at      timestamptz,
    told_to          text[] NOT NULL DEFAULT '{}',  -- digests of the addresses that know of it
    told_resolved_to text[] NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX core_incident_open ON "CORE"."CORE_INCIDENT" (kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX core_incident_resolved ON "CORE"."CORE_INCIDENT" (resolved_at);

-- The hours in which something of a lender landed: how long it is usually silent.
CREATE TABLE "CORE"."CORE_ARRIVAL" (
    source_lender text NOT NULL,
    hour          timestamptz NOT NULL,
    PRIMARY KEY (source_lender, hour)
);
INSERT INTO "CORE"."CORE_ARRIVAL" (source_lender, hour)
SELECT DISTINCT source_lender, date_trunc('hour', received_at) AS hour
FROM "CORE"."CORE_FILE_LOG"
WHERE status = 'landed' AND source_lender IS NOT NULL;

-- A loan is one whatever the lenders of its payments: so is the queue read.
DROP INDEX "CORE".core_open_work_queue;
CREATE INDEX core_open_work_queue ON "CORE"."CORE_OPEN_WORK" (loan_external_id, payment_date, source_key);

-- A posting that Fineract has lost, and that an operator has put back on the list, stays as an
-- attempt and makes room for the next success.
ALTER TABLE "CORE"."CORE_POSTING_ATTEMPT" ADD COLUMN undone_at timestamptz;
DROP INDEX "CORE".core_posting_attempt_success;
CREATE UNIQUE INDEX core_posting_attempt_success ON "CORE"."CORE_POSTING_ATTEMPT" (source_key)
WHERE outcome = 'success' AND undone_at IS NULL;
