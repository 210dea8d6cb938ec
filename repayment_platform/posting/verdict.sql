-- What the open payment w should wait as: by what keeps it back, and by what Fineract has not approved yet, which
-- is read once for all. One that failed and was deferred has failed as before; one that a person released is to
-- be sent.
SELECT
    CASE
        WHEN kept.state IS NOT NULL THEN kept.state
        WHEN w.state = 'deferred' AND refused.words IS NOT NULL THEN 'failed'
        WHEN w.state IN ('held', 'deferred') THEN 'waiting'
        ELSE w.state
    END AS state,
    CASE
        WHEN kept.state IS NOT NULL THEN kept.reason
        WHEN
            w.state <> 'failed' AND (
                w.loan_external_id IN (
                    SELECT loan_external_id FROM "CORE"."CORE_POSTING_ATTEMPT"
                    WHERE settled_at IS NULL AND error_code = 'awaiting_approval'
                )
                OR w.payment_ref IN (
                    SELECT payment_ref FROM "CORE"."CORE_POSTING_ATTEMPT"
                    WHERE settled_at IS NULL AND error_code = 'awaiting_approval'
                )
            )
            THEN awaits.words
        WHEN w.state NOT IN ('held', 'deferred') AND w.reason <> awaits.words THEN w.reason
        WHEN w.state = 'deferred' AND refused.words IS NOT NULL THEN refused.words
        WHEN w.recon_source IS NULL THEN 'to be posted by the next run'
        ELSE 'awaits reconciliation'
    END AS reason
FROM (SELECT 'a payment of its loan or reference awaits approval in Fineract' AS words) awaits
LEFT JOIN LATERAL ({{ kept_back }}) kept ON true
-- Fineract's words, where it refused a deferred payment as it is now.
LEFT JOIN LATERAL (
    SELECT p.error_text AS words FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    WHERE
        w.state = 'deferred' AND w.tries > 0
        AND p.source_key = w.source_key AND p.status = 'failed' AND p.run_id <> 'repost'
        AND (p.loan_external_id, p.payment_date, p.amount)
        = (w.loan_external_id, coalesce(w.post_on, w.payment_date), w.amount)
) refused ON true
