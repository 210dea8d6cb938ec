{{ config(meta={'dagster': {'ref': {'name': 'core_transaction_data'}}}) }}
-- Of the references keyed last, those that two payments bear.
SELECT k.payment_ref, count(DISTINCT k.source_key) AS payments
FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} newest
INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} k ON k.payment_ref = newest.payment_ref
WHERE
    newest.batch = {{ newest_batch(ref('core_transaction_data')) }}
    AND k.rule <> 'provisional'
GROUP BY k.payment_ref
HAVING count(DISTINCT k.source_key) > 1
