{{ config(tags=['nightly'], meta={'dagster': {'ref': {'name': 'core_transaction_data'}}}) }}
SELECT o.raw_table, o.raw_id
FROM {{ ref('core_observation') }} o
INNER JOIN {{ source('CORE', 'CORE_RAW_CUT') }} cut ON cut.raw_table = o.raw_table
LEFT JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} k ON k.raw_id = o.raw_id
WHERE o.raw_id <= cut.keyed_to AND k.raw_id IS NULL
