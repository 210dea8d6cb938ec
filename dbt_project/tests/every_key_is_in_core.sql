{{ config(tags=['nightly'], meta={'dagster': {'ref': {'name': 'core_transaction_data'}}}) }}
-- Keys without a row, and rows without a key. A provisional key whose rows all have a proper one
-- by now is displaced and has no row.
SELECT coalesce(k.source_key, t.source_key) AS source_key, k.source_key IS NULL AS lacks_a_key
FROM (
    SELECT DISTINCT k.source_key
    FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} k
    WHERE {{ is_current('k') }}
) k
FULL JOIN {{ ref('core_transaction_data') }} t ON t.source_key = k.source_key
WHERE k.source_key IS NULL OR t.source_key IS NULL
