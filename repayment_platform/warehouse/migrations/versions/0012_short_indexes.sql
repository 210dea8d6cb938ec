-- Most payments come to the list and leave it within one run: what is asked of the others alone
-- takes an index of the others alone.

-- Has a payment of this loan to wait after trouble?
CREATE INDEX core_open_work_backing_off ON "CORE"."CORE_OPEN_WORK" (loan_external_id, not_before)
WHERE not_before IS NOT NULL;

-- Which have been sent, and may have changed meanwhile?
CREATE INDEX core_open_work_sent ON "CORE"."CORE_OPEN_WORK" (source_key) WHERE tries > 0;

-- The reconciliation page, page by page: its payments wait until somebody asks for them.
CREATE INDEX core_open_work_recon ON "CORE"."CORE_OPEN_WORK" (state, source_lender, payment_date, source_key)
WHERE recon_source IS NOT NULL;

-- The screens' lists of payments that stay for a while, page by page.
DROP INDEX "CORE".core_open_work_state;
CREATE INDEX core_open_work_state ON "CORE"."CORE_OPEN_WORK" (state, source_lender, payment_date, source_key)
WHERE state NOT IN ('waiting', 'sending');
