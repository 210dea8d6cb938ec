{#
    The columns that every BASE view has, from those that a provider's macro reads.

    The caller's query gives raw_id, landed_at, replaces_id, loan_external_id, loan_id_found_in,
    payment_date, amount (rupees), outcome, payment_ref, method, utr, umrn, file_id, presentation_date and
        order_ref       an order that the gateway made for this one payment, or null
        day_exactness   how exact payment_date is, of reports of one payment (see core_transaction_data):
                        5 the gateway's time of the payment, 4 the day on which the bank settled it,
                        3 the day in a lender's file, 2 the day of presentation, in place of one
                        that is not known yet, 1 when an event about it happened
        refunded_amount rupees given back: in the refund that refund_id names, or altogether so far
        refund_id       the provider's id of one refund, or of a dispute that is open or over, or null
        refund_stated_at  when it was so, by the provider's clock; null where that is not said
        objection       why a success is no repayment (a mandate's authorisation, say), or null
        failure_reason  the provider's words for a failure or a return, or null
    The outcome `unknown_event` is a success that is stated by an event we cannot read as a payment's: a
    person is asked, unless another event reports it.
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
        WHEN 'disputed' THEN 10
        WHEN 'success' THEN CASE WHEN objection IS NULL THEN 30 ELSE 35 END
        WHEN 'refund' THEN 40
        WHEN 'late_return' THEN 40
        WHEN 'unknown_event' THEN 25
        ELSE 20
    END::smallint AS status_rank,
    {{ id_within(200, 'payment_ref') }},
    {{ id_within(200, 'order_ref') }},
    {{ literal(about.reports) if about.is_recon else 'null' }}::text AS recon_source,
    method,
    {{ by_mandate(about, 'method') }} AS by_mandate,
    {{ id_within(200, 'utr') }},
    {{ id_within(200, 'umrn') }},
    CASE
        WHEN outcome = 'success' AND objection IS NOT NULL THEN objection
        WHEN outcome = 'success' AND coalesce(amount < 0, true) THEN 'the amount is missing or unreadable'
        WHEN outcome = 'success' AND amount = 0
            THEN 'the amount is zero: a mandate was registered'
        WHEN outcome = 'success' AND payment_date IS NULL
            THEN 'the payment date is missing or unreadable'
        WHEN outcome = 'success' THEN null
        WHEN outcome = 'pending' THEN 'the outcome is not known yet'
        WHEN outcome = 'disputed' THEN 'a dispute of it is open'
        WHEN outcome = 'refund' THEN 'refunded'
        WHEN outcome = 'late_return'
            THEN 'returned after it had been reported as paid' || coalesce(': ' || failure_reason, '')
        WHEN outcome = 'withdrawn' THEN 'not in the file that replaced its file'
        ELSE coalesce(failure_reason, outcome)
    END AS not_repayment_reason,
    refunded_amount,
    refund_id,
    file_id,
    presentation_date,
    day_exactness::smallint AS day_exactness,
    refund_stated_at
FROM (
{{ caller() }}
) read
{%- endmacro %}

{% macro id_within(longest, column) -%}
    CASE WHEN length({{ column }}) <= {{ longest }} THEN {{ canonical_id(column) }} END AS {{ column }}
{%- endmacro %}

{# An id as ids are compared: without the `.0` that a spreadsheet or a JSON number put behind its digits. #}
{% macro canonical_id(text) -%}
    regexp_replace({{ text }}, '^(.*:)?([0-9]+)\.0+$', '\1\2')
{%- endmacro %}

{# Whether the words for how it was paid name a mandate's debit, or another rail; null where they name none. #}
{% macro by_mandate(about, method) -%}
    {%- if about.is_file and about.reports == 'NACH' -%}
    true
    {%- else -%}
    CASE
        WHEN {{ method }} ~* '\m(e?-?nach|pnach|ach|ecs|e?-?mandate)\M' THEN true
        WHEN {{ method }} ~* '\m(upi|imps|neft|rtgs|cards?|credit ?card|debit ?card|net ?banking|wallet|cash|cheque|bank ?transfer|app|paylater|cardless ?emi)\M'
            THEN false
    END
    {%- endif -%}
{%- endmacro %}
