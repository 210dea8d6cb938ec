-- Money that was given back: finding the payment it was, and watching its repayment being undone.

-- Returns that named no payment, by the payment that they may be of.
CREATE INDEX core_payment_key_loose ON "CORE"."CORE_PAYMENT_KEY" (source_lender, loan_external_id, amount)
WHERE rule = 'provisional' AND payment_ref IS NULL AND NOT reports;

-- When the ledger was last asked about an open exception; the longest ago is asked about first.
ALTER TABLE "CORE"."CORE_EXCEPTION" ADD COLUMN looked_at timestamptz;
CREATE INDEX core_exception_look ON "CORE"."CORE_EXCEPTION" (looked_at NULLS FIRST, id) WHERE closed_at IS NULL;
