{# Recon records with what has become of their posting, which changes without dbt. #}
SELECT
    r.source_key,
    r.source_lender,
    r.recon_source,
    r.loan_external_id,
    r.payment_ref,
    r.payment_date,
    r.amount,
    r.gateway_amount,
    r.settled_amount,
    r.lender_amount,
    r.utr,
    r.umrn,
    r.settlement_utr,
    r.match_status,
    r.match_reason,
    CASE
        WHEN p.status IN ('success', 'undone') THEN p.status
        WHEN w.state IS NOT NULL THEN w.state
        WHEN r.match_status IN ('reversed', 'loan_unknown') THEN 'not_postable'
        ELSE 'waiting'
    END AS posting_status,
    CASE
        WHEN p.status = 'success' THEN 'posted'
        WHEN p.status = 'undone' THEN p.error_text
        WHEN w.state IS NOT NULL THEN w.reason
        WHEN r.match_status IN ('reversed', 'loan_unknown') THEN r.match_reason
        ELSE 'awaits reconciliation'
    END AS posting_reason,
    p.fineract_transaction_id,
    p.processed_at,
    i.request_id AS open_request,
    r.first_landed_at,
    r.last_landed_at
FROM {{ ref('core_recon_record') }} r
LEFT JOIN {{ source('CORE', 'CORE_TRANSACTION_DATA_PROCESSED') }} p ON p.source_key = r.source_key
LEFT JOIN {{ source('CORE', 'CORE_OPEN_WORK') }} w ON w.source_key = r.source_key
LEFT JOIN {{ source('CORE', 'CORE_RECON_REQUEST_ITEM') }} i ON i.source_key = r.source_key AND i.open
