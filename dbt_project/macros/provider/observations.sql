{#
    The columns that every BASE view has, from those that a provider's macro reads.

    The caller's query gives raw_id, landed_at, replaces_id, loan_external_id, loan_id_found_in,
    payment_date, amount (rupees), outcome, payment_ref, method, utr, umrn and
        day_exactness   how exact payment_date is, of reports of one payment (see core_transaction_data):
                        5 the gateway's time of the payment, 4 the day on which the bank settled it,
                        3 the day in a lender's file, 2 the day of presentation, in place of one
                        that is not known yet, 1 when an event about it happened
        refunded_amount rupees given back: in the refund that refund_id names, or altogether so far
        refund_id       the provider's id of one refund, or null
        objection       why a success is no repayment (a mandate's authorisation, say), or null
        failure_reason  the provider's words for a failure or a return, or null
    An id is at most as long as an index takes, a loan's as Fineract's; longer texts are none.
    Nothing here may raise for any payload, and nothing may keep PostgreSQL from using the RAW
    table's primary key: no window, DISTINCT, aggregate, set-returning or volatile function.
#}
{% macro observations(table) -%}
{%- set about = registered(table) -%}
SELECT
    raw_id,
    {{ literal(table) }}::text AS raw_table,
    landed_at,
    replaces_id,
    {{ literal(about.lender) }}::text AS source_lender,
    {{ id_within(100, 'loan_external_id') }},
    loan_id_found_in,
    payment_date,
    amount,
    outcome,
    outcome = 'success' AND objection IS NULL AND coalesce(amount > 0, false)
    AND payment_date IS NOT NULL AS is_success,
    CASE outcome
        WHEN 'withdrawn' THEN 0
        WHEN 'pending' THEN 10
        WHEN 'success' THEN CASE WHEN objection IS NULL THEN 30 ELSE 35 END
        WHEN 'refund' THEN 40
        WHEN 'late_return' THEN 40
        ELSE 20
    END::smallint AS status_rank,
    {{ id_within(200, 'payment_ref') }},
    {{ literal(about.reports) if about.is_recon else 'null' }}::text AS recon_source,
    method,
    {{ id_within(200, 'utr') }},
    {{ id_within(200, 'umrn') }},
    CASE
        WHEN outcome = 'success' AND objection IS NOT NULL THEN objection
        WHEN outcome = 'success' AND amount IS NULL THEN 'the amount is missing or unreadable'
        WHEN outcome = 'success' AND amount <= 0
            THEN 'the amount is zero: a mandate was registered'
        WHEN outcome = 'success' AND payment_date IS NULL
            THEN 'the payment date is missing or unreadable'
        WHEN outcome = 'success' THEN null
        WHEN outcome = 'pending' THEN 'the outcome is not known yet'
        WHEN outcome = 'refund' THEN 'refunded'
        WHEN outcome = 'late_return'
            THEN 'returned after it had been reported as paid' || coalesce(': ' || failure_reason, '')
        WHEN outcome = 'withdrawn' THEN 'not in the file that replaced its file'
        ELSE coalesce(failure_reason, outcome)
    END AS not_repayment_reason,
    refunded_amount,
    refund_id,
    day_exactness::smallint AS day_exactness
FROM (
{{ caller() }}
) read
{%- endmacro %}

{% macro id_within(longest, column) -%}
    CASE WHEN length({{ column }}) <= {{ longest }} THEN {{ column }} END AS {{ column }}
{%- endmacro %}
