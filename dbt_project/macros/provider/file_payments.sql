{# One observation per row of a payment, settlement or NACH file; the loader has read its cells. #}
{% macro file_payments(table) -%}
{%- set about = registered(table) -%}
{%- call observations(table) %}
    SELECT
        id AS raw_id,
        landed_at,
        replaces_id,
        {{ loan_external_id(about.loan_id_pattern, 'loan_ref') }} AS loan_external_id,
        CASE
            WHEN {{ loan_external_id(about.loan_id_pattern, 'loan_ref') }} IS NOT NULL
                THEN 'loan_ref'
        END AS loan_id_found_in,
        payment_date,
        amount,
        outcome,
        null::text AS objection,
        nullif(concat_ws(' ', reason_code, reason_text), '') AS failure_reason,
        payment_ref,
        method,
        utr,
        umrn,
        CASE WHEN outcome = 'refund' THEN amount END AS refunded_amount
    FROM {{ source('RAW', table) }}
{%- endcall %}
{%- endmacro %}
