-- What nobody would hear of: a report that belongs to no payment, a payment of reports that CORE has not, one
-- that is held though nothing asks about it, and a success that is neither a repayment nor asked about.
-- Of the reports from a row on, and of the payments of CORE after a batch. What dbt or the feed has not read
-- yet is on its way.
WITH reported AS MATERIALIZED (
    SELECT o.raw_id, o.raw_table, o.source_lender, k.source_key, k.is_in_core
    FROM "CORE"."CORE_OBSERVATION" o
    INNER JOIN "CORE"."CORE_RAW_CUT" cut ON cut.raw_table = o.raw_table AND o.raw_id <= cut.keyed_to
    CROSS JOIN
        LATERAL (
            SELECT
                max(key.source_key) AS source_key,
                bool_or(t.source_key IS NOT NULL) AS is_in_core
            FROM "CORE"."CORE_PAYMENT_KEY" key
            LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = key.source_key
            WHERE key.raw_id = o.raw_id
        ) k
    WHERE o.raw_id >= {{ first_row }} AND k.is_in_core IS NOT true
)

SELECT
    CASE
        WHEN source_key IS NULL
            THEN format('row %s of %s (%s) belongs to no payment', raw_id, raw_table, source_lender)
        ELSE format('%s (%s), the payment of row %s, is not in CORE', source_key, source_lender, raw_id)
    END AS what
FROM reported
UNION ALL
SELECT format('%s (%s) is held, and nothing asks about it', w.source_key, w.source_lender)
FROM "CORE"."CORE_OPEN_WORK" w
WHERE
    w.state = 'held' AND NOT EXISTS (
        SELECT FROM "CORE"."CORE_EXCEPTION" e
        WHERE
            e.source_key = w.source_key AND e.holds
            -- What was decided since is taken up by the next run.
            AND (
                e.closed_at IS NULL OR e.decision IN ('same_payment', 'not_a_repayment')
                OR e.closed_at > w.updated_at
            )
    )
UNION ALL
SELECT format('%s (%s) is a success that nobody posts and nobody is asked about', t.source_key, t.source_lender)
FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE
    t.batch > {{ after }} AND t.batch <= (SELECT batch FROM "CORE"."CORE_WORK_FEED")
    AND t.outcome IN ('success', 'unknown_event') AND NOT t.is_success AND t.amount IS DISTINCT FROM 0
    AND t.not_repayment_reason NOT LIKE 'the authorisation of a mandate%'
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" e WHERE e.source_key = t.source_key)
LIMIT {{ most }}
