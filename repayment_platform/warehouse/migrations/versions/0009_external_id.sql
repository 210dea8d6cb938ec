-- A repayment that was undone in Fineract keeps its external id there for ever. Posted again, the
-- payment has another one, while its key stays. Null: the external id is the source_key.
ALTER TABLE "CORE"."CORE_POSTING_ATTEMPT" ADD COLUMN external_id text;
-- That of the payment's repayment in Fineract, or of the next request for it.
ALTER TABLE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" ADD COLUMN external_id text;
CREATE UNIQUE INDEX core_processed_external_id ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (external_id)
WHERE external_id IS NOT NULL;
