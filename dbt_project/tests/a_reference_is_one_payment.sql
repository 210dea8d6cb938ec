{{ config(meta={'dagster': {'ref': {'name': 'core_transaction_data'}}}) }}
-- Of the issued references keyed last, those that two payments bear without anybody having been asked.
SELECT k.payment_ref, count(DISTINCT k.source_key) AS payments
FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} newest
INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} k
    ON "CORE".alike(k.payment_ref) = "CORE".alike(newest.payment_ref) AND k.payment_ref = newest.payment_ref
INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} made
    ON made.source_key = k.source_key AND made.occurrence IS NOT NULL AND made.rule <> 'held'
WHERE
    newest.batch = {{ newest_batch(ref('core_transaction_data')) }}
    AND "CORE".is_issued(newest.payment_ref)
    AND k.rule <> 'provisional'
GROUP BY k.payment_ref
HAVING count(DISTINCT k.source_key) > 1
