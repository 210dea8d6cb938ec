{{ config(meta={'dagster': {'ref': {'name': 'core_transaction_data'}}}) }}
SELECT source_key, loan_external_id
FROM {{ ref('core_transaction_data') }}
WHERE
    batch = {{ newest_batch(ref('core_transaction_data')) }}
    AND key_rule = 'provisional' AND is_success AND loan_external_id IS NOT NULL
