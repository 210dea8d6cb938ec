-- A person can name the loan of a payment where the question stands.
ALTER TABLE "CORE"."CORE_EXCEPTION"
DROP CONSTRAINT "CORE_EXCEPTION_decision_check",
ADD CHECK (decision IN (
    'release', 'same_payment', 'not_a_repayment', 'post_rest', 'post_on', 'name_loan', 'leave', 'undone', 'repost', 'gone'
));

-- Webhooks of disputes that are open or over were no reports before, so those without a key are read again.
UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = 0
WHERE raw_table IN (
    SELECT table_name FROM information_schema.columns WHERE table_schema = 'RAW' AND column_name = 'payload'
);
