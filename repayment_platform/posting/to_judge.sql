-- The payments that must be judged: what was noted, of CORE's news and of postings; what was sent; what a limit
-- or another posting with its reference may stop; and questions on what CORE has no more. What Fineract said
-- before this database was restored is asked again.
WITH noted AS (DELETE FROM "CORE"."CORE_TO_JUDGE" RETURNING source_key),

outlived AS (
    DELETE FROM "CORE"."CORE_LEDGER_ANSWER" WHERE source_key = any(array(
        SELECT source_key FROM "CORE"."CORE_LEDGER_ANSWER" WHERE incarnation < "CORE".incarnation()
        UNION ALL
        SELECT source_key FROM "CORE"."CORE_LEDGER_ANSWER" WHERE incarnation > "CORE".incarnation()
    )) RETURNING source_key
)

SELECT source_key FROM noted
UNION
SELECT source_key FROM outlived
UNION
SELECT source_key FROM "CORE"."CORE_OPEN_WORK" WHERE tries > 0
UNION
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
INNER JOIN "CORE"."CORE_LENDER_SETTING" s ON w.source_lender = s.source_lender
WHERE w.amount > s.max_payment
UNION
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    ON
        p.payment_ref = w.payment_ref AND p.status = 'success' AND p.source_key <> w.source_key
        AND "CORE".is_issued(p.payment_ref)
UNION
SELECT e.source_key FROM "CORE"."CORE_EXCEPTION" e
WHERE
    e.closed_at IS NULL AND e.source_key IS NOT NULL
    AND (e.kind = 'over_limit' OR NOT EXISTS (
        SELECT FROM "CORE"."CORE_TRANSACTION_DATA" t WHERE t.source_key = e.source_key
    ))
