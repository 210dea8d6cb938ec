-- Reconciliation requests: what an operator asked to be posted, with the facts it was asked for.

ALTER TABLE "CORE"."CORE_RECON_REQUEST"
DROP COLUMN source_keys,
ALTER COLUMN state DROP DEFAULT,
ADD CONSTRAINT core_recon_request_state CHECK (state IN (
    'awaiting_approval', 'refused', 'approved', 'running', 'done', 'failed'
)),
ADD COLUMN why text NOT NULL,
ADD COLUMN selection jsonb NOT NULL,      -- the filters, as the operator set them
ADD COLUMN digest text NOT NULL,          -- names the exact set of payments with their facts
ADD COLUMN payments integer NOT NULL,
ADD COLUMN rupees numeric(19, 2) NOT NULL,
ADD COLUMN run_key text,                  -- the sensor's name for the attempt that runs or ran
ADD COLUMN finished_at timestamptz;
CREATE INDEX core_recon_request_state ON "CORE"."CORE_RECON_REQUEST" (state, id);

-- The payments of a request. A run posts one only while CORE says the same of it.
CREATE TABLE "CORE"."CORE_RECON_REQUEST_ITEM" (
    request_id       bigint NOT NULL REFERENCES "CORE"."CORE_RECON_REQUEST" (id),
    source_key       text NOT NULL,
    source_lender    text NOT NULL,
    loan_external_id text NOT NULL,
    payment_date     date NOT NULL,
    amount           numeric(19, 2) NOT NULL,
    open             boolean NOT NULL DEFAULT true, -- its request may still post it
    excluded         text,                -- why the last attempt left it out
    PRIMARY KEY (request_id, source_key)
);
CREATE INDEX core_recon_item_key ON "CORE"."CORE_RECON_REQUEST_ITEM" (source_key);
-- A payment is in one open request at most.
CREATE UNIQUE INDEX core_recon_item_open ON "CORE"."CORE_RECON_REQUEST_ITEM" (source_key) WHERE open;
