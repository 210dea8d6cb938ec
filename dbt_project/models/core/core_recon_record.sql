{#
    One row per payment of a lender that is posted by reconciliation: what each kind of report
    says of it, and whether they agree. See recon.yml for the columns.

    Payments are told apart in CORE_PAYMENT_KEY; here the reports of one are set against each
    other. Only payments that CORE computed anew since the last run are read.
#}
{%- set since = last_batch() -%}
-- depends_on: {{ ref('core_observation') }}
WITH payment AS (
    SELECT * FROM {{ ref('core_transaction_data') }}
    WHERE recon_source IS NOT NULL AND batch > {{ since }}
),

reported AS (
    SELECT
        k.source_key,
        observation.raw_id,
        observation.outcome,
        observation.amount,
        observation.utr,
        observation.umrn,
        observation.is_success,
        payer.marks,
        {{ kind_of_report('observation.raw_table', 'observation.utr') }} AS kind,
        {{ is_replaced('k') }} AS is_replaced
    FROM payment
    INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} k ON k.source_key = payment.source_key
    INNER JOIN LATERAL {{ observation_of('k') }} observation ON true
    LEFT JOIN LATERAL {{ payer_marks_of('k') }} payer ON true
    WHERE {{ is_current('k') }}
),

folded AS (
    SELECT
        source_key,
        {{ amount_by('gateway') }} AS gateway_amount,
        coalesce({{ amount_by('settlement') }}, {{ amount_by('bank') }}) AS settled_amount,
        {{ amount_by('lender') }} AS lender_amount,
        coalesce(bool_or(kind = 'gateway') FILTER (WHERE {{ tells() }}), false) AS by_gateway,
        coalesce(bool_or(kind = 'settlement') FILTER (WHERE {{ tells() }}), false) AS by_settlement,
        coalesce(bool_or(kind = 'bank') FILTER (WHERE {{ tells() }}), false) AS by_bank,
        coalesce(bool_or(kind = 'lender') FILTER (WHERE {{ tells() }}), false) AS by_lender,
        (array_agg(utr ORDER BY raw_id) FILTER (WHERE utr IS NOT NULL AND kind <> 'settlement'))[1] AS utr,
        (array_agg(utr ORDER BY raw_id DESC) FILTER (WHERE utr IS NOT NULL AND kind = 'settlement'))[1]
            AS settlement_utr,
        (array_agg(umrn ORDER BY raw_id) FILTER (WHERE umrn IS NOT NULL))[1] AS umrn
    FROM reported
    GROUP BY source_key
    -- Failed debits, mandates and pending payments are no payments yet.
    HAVING bool_or(is_success OR outcome IN ('refund', 'late_return'))
),

marked AS (
    SELECT source_key, array_agg(DISTINCT mark ORDER BY mark) AS payer_marks
    FROM (
        SELECT source_key, unnest(marks) AS mark FROM reported
        UNION ALL
        SELECT source_key, 'umrn:' || umrn AS mark FROM reported
        UNION ALL
        SELECT source_key, 'utr:' || utr AS mark FROM reported WHERE kind <> 'settlement'
    ) marks
    WHERE mark IS NOT NULL
    GROUP BY source_key
),

judged AS (
    SELECT
        payment.*,
        folded.gateway_amount,
        folded.settled_amount,
        folded.lender_amount,
        folded.by_gateway,
        folded.by_settlement,
        folded.by_bank,
        folded.by_lender,
        folded.utr AS own_utr,
        folded.umrn AS own_umrn,
        folded.settlement_utr,
        CASE
            WHEN NOT payment.is_success THEN 'reversed'
            WHEN payment.loan_external_id IS NULL THEN 'loan_unknown'
            WHEN
                num_nonnulls(folded.gateway_amount, folded.settled_amount, folded.lender_amount) > 1
                AND least(folded.gateway_amount, folded.settled_amount, folded.lender_amount)
                < greatest(folded.gateway_amount, folded.settled_amount, folded.lender_amount)
                THEN 'amount_differs'
            WHEN folded.by_bank OR folded.by_gateway AND (folded.by_settlement OR folded.by_lender)
                THEN 'matched'
            WHEN folded.by_gateway THEN 'gateway_only'
            ELSE 'settlement_only'
        END AS match_status
    FROM payment
    INNER JOIN folded ON folded.source_key = payment.source_key
)

SELECT
    judged.source_key,
    judged.source_lender,
    judged.recon_source,
    judged.loan_external_id,
    judged.payment_ref,
    judged.payment_date,
    judged.amount,
    judged.gateway_amount,
    judged.settled_amount,
    judged.lender_amount,
    judged.own_utr AS utr,
    judged.own_umrn AS umrn,
    judged.settlement_utr,
    judged.match_status,
    CASE judged.match_status
        WHEN 'reversed' THEN coalesce(judged.not_repayment_reason, 'no repayment any more')
        WHEN 'loan_unknown' THEN 'no report of the payment names a loan'
        WHEN 'amount_differs'
            THEN
                concat_ws(
                    ', ', 'gateway ' || judged.gateway_amount, 'settled ' || judged.settled_amount,
                    'lender ' || judged.lender_amount
                )
        WHEN 'matched'
            THEN
                CASE
                    WHEN judged.by_bank THEN 'the bank''s file reports the debit as paid'
                    WHEN judged.by_settlement AND judged.by_lender THEN 'gateway, settlement and lender''s file agree'
                    WHEN judged.by_settlement THEN 'gateway and settlement agree'
                    ELSE 'gateway and lender''s file agree'
                END
        WHEN 'gateway_only' THEN 'reported by the gateway, by no settlement or lender''s file yet'
        ELSE CASE
            WHEN judged.by_settlement THEN 'in a settlement, but the gateway sent no event'
            ELSE 'in the lender''s file, but the gateway sent no event'
        END
    END AS match_reason,
    coalesce(marked.payer_marks, '{}') AS payer_marks,
    judged.first_landed_at,
    judged.last_landed_at,
    judged.batch
FROM judged
LEFT JOIN marked ON marked.source_key = judged.source_key
