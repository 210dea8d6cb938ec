-- Where a person corrected the loan of a payment that was sent, it keeps its key: the loan that the key was made
-- of. Its rows bear the right one, and no other key is made of the same facts.
ALTER TABLE "CORE"."CORE_PAYMENT_KEY" ADD COLUMN made_of_loan text;
CREATE INDEX core_payment_key_made_of ON "CORE"."CORE_PAYMENT_KEY" (source_lender, made_of_loan, payment_date)
WHERE made_of_loan IS NOT NULL;
