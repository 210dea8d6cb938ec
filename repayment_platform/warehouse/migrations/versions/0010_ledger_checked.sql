-- When the ledger was last asked about a posting; null until then, and again once it is posted anew.
-- Posting writes one entry to a small index; setting the time is left to the comparison after it.
ALTER TABLE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" ADD COLUMN ledger_checked_at timestamptz;
CREATE INDEX core_processed_unchecked ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (processed_at)
WHERE status = 'success' AND ledger_checked_at IS NULL;

-- How much there is of an incident that can grow while it is open: it is told again when it does.
ALTER TABLE "CORE"."CORE_INCIDENT" ADD COLUMN newest bigint NOT NULL DEFAULT 0;
