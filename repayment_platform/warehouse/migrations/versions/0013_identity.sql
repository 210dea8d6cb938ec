-- What reports say that tells payments apart, kept beside their keys and found by indexes.

-- A mandate's day of presentation. payment_date is the day of settlement where that is known.
ALTER TABLE "RAW"."_FILE" ADD COLUMN presentation_date date;
DO $$
DECLARE
    raw_table record;
BEGIN
    FOR raw_table IN
        SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'RAW' AND column_name = 'file_id' AND table_name <> '_FILE'
    LOOP
        EXECUTE format('ALTER TABLE "RAW".%I ADD COLUMN presentation_date date', raw_table.table_name);
    END LOOP;
END
$$;

-- A reference without its namespace, case, leading zeros and punctuation. Two that are alike may be
-- one that was spelled otherwise.
CREATE FUNCTION "CORE".alike(payment_ref text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ltrim(regexp_replace(lower(regexp_replace(payment_ref, '^[^:]*:', '')), '[^a-z0-9]', '', 'g'), '0');

-- Of rows that were keyed before, `outcome` is null until the next run of dbt fills all of these in.
ALTER TABLE "CORE"."CORE_PAYMENT_KEY"
ADD COLUMN outcome text,
ADD COLUMN file_id bigint,                -- the file of the row; null for a webhook
ADD COLUMN presentation_date date,
ADD COLUMN presents boolean,              -- the row's layout has a day of presentation
ADD COLUMN order_ref text,                -- an order that the gateway made for this one payment
ADD COLUMN utr text,
ADD COLUMN umrn text,
ADD COLUMN by_mandate boolean,            -- false: by another rail; null: nobody says
ADD COLUMN out_of_order boolean NOT NULL DEFAULT false, -- its source had reported later days of the loan
ADD COLUMN because text;                  -- in words, why it got this key

DROP INDEX "CORE".core_payment_key_money;
DROP INDEX "CORE".core_payment_key_loose;
DROP INDEX "CORE".core_payment_key_ref;
CREATE INDEX core_payment_key_loan ON "CORE"."CORE_PAYMENT_KEY" (source_lender, loan_external_id, payment_date);
CREATE INDEX core_payment_key_alike ON "CORE"."CORE_PAYMENT_KEY" ("CORE".alike(payment_ref))
WHERE payment_ref IS NOT NULL;
CREATE INDEX core_payment_key_order ON "CORE"."CORE_PAYMENT_KEY" (order_ref) WHERE order_ref IS NOT NULL;
CREATE INDEX core_payment_key_utr ON "CORE"."CORE_PAYMENT_KEY" (utr) WHERE utr IS NOT NULL;
CREATE INDEX core_payment_key_umrn ON "CORE"."CORE_PAYMENT_KEY" (umrn, amount) WHERE umrn IS NOT NULL AND reports;
CREATE INDEX core_payment_key_late ON "CORE"."CORE_PAYMENT_KEY" (source_lender, loan_external_id)
WHERE out_of_order;
CREATE INDEX core_payment_key_unfilled ON "CORE"."CORE_PAYMENT_KEY" (raw_table) WHERE outcome IS NULL;

-- Which earlier file of its source a file reports again: at least half of that one's pairs of loan and
-- day stand in it.
CREATE TABLE "CORE"."CORE_FILE_AGAIN" (
    file_id       bigint NOT NULL,
    again_file_id bigint NOT NULL,
    PRIMARY KEY (file_id, again_file_id)
);
DROP VIEW IF EXISTS "CORE"."CORE_MATCH_GROUP";

-- A reference that a bank reports may come again for another payment. One repayment for each
-- reference is right only where a payment system issues them.
DROP INDEX "CORE".core_posting_attempt_one_ref;
CREATE UNIQUE INDEX core_posting_attempt_one_ref ON "CORE"."CORE_POSTING_ATTEMPT" (payment_ref)
WHERE "CORE".is_issued(payment_ref) AND (settled_at IS NULL OR (outcome = 'success' AND undone_at IS NULL));
DROP INDEX "CORE".core_processed_ref;
CREATE UNIQUE INDEX core_processed_ref ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (payment_ref)
WHERE status = 'success' AND "CORE".is_issued(payment_ref);

-- Webhooks that reported nothing before may report something now (a refund that failed, a success that no
-- run will post), so those without a key are read again.
UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = 0
WHERE raw_table IN (
    SELECT table_name FROM information_schema.columns WHERE table_schema = 'RAW' AND column_name = 'payload'
);
