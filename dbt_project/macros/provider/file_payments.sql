{#
    One observation per row of a payment, settlement or NACH file; the loader has read its cells.

    What a cell says of refunds is how much of the payment has been given back so far. A line of a
    settlement names itself, and so the refund that it reports. A chargeback or dispute says how much
    it took; it is not added up, because one case may be charged more than once.
#}
{% macro file_payments(table) -%}
{%- set about = registered(table) -%}
{%- set line = about.settlement_line -%}
{%- set refunded = 'abs(' ~ rupees('told.refunded') ~ ')' if about.refunded_in else 'null::numeric' -%}
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
        presentation_date,
        file_id,
        {{ exactness_of_files_day(about) }} AS day_exactness,
        amount,
        CASE WHEN outcome = 'success' AND {{ refunded }} > 0 THEN 'refund' ELSE outcome END AS outcome,
        null::text AS objection,
        nullif(concat_ws(' ', reason_code, reason_text), '') AS failure_reason,
        payment_ref,
        {% if line and line.payment_order -%}
        CASE WHEN payment_ref IS NOT NULL THEN {{ order_ref(about, cell(line.payment_order)) }} END
        {%- else -%}
        null::text
        {%- endif %} AS order_ref,
        method,
        utr,
        umrn,
        CASE
            WHEN {{ refunded }} > 0 THEN {{ refunded }}
            WHEN outcome IN ('refund' {{- ", 'late_return'" if line }}) THEN amount
        END AS refunded_amount,
        {% if line -%}
        CASE WHEN outcome = 'refund' THEN {{ cell(line.line_id) }} END
        {%- else -%}
        null::text
        {%- endif %} AS refund_id,
        null::timestamptz AS refund_stated_at
    FROM {{ source('RAW', table) }}
    {%- if about.refunded_in %}
    -- The cell is looked for once, which OFFSET 0 makes sure of.
    CROSS JOIN LATERAL (SELECT {{ plain_rupees(cell(about.refunded_in)) }} AS refunded FROM (SELECT 1) once OFFSET 0) told
    {%- endif %}
{%- endcall %}
{%- endmacro %}

{#
    How exact the day of a file's row is. A bank's file has the day of presentation where that of the
    settlement is empty, so whether it is, is asked of its cell as the loader asks.
#}
{% macro exactness_of_files_day(about) -%}
    {%- if about.reports == 'PAYMENT' -%} 3
    {%- elif about.reports != 'NACH' -%} 5
    {%- else -%}
    CASE
        WHEN lower(coalesce({{ cell(about.settled_on) }}, '')) IN (
            {%- for text in about.null_texts %}{{ literal(text) }} {{- ', ' if not loop.last }}{% endfor -%}
        ) THEN 2
        ELSE 4
    END
    {%- endif -%}
{%- endmacro %}
