{#
    What kind of report a row of RAW is, as SQL on its RAW table and UTR:

    gateway     the gateway's own word: its webhooks, and its list of payments
    settlement  a line of a settlement report; only these lines bear the UTR of a payout
    bank        a bank's answer to a NACH presentation
    lender      the lender's own file of what it received
#}
{% macro kind_of_report(raw_table, utr) -%}
    CASE
        {%- for table, about in registry().items() if about.is_recon %}
        WHEN {{ raw_table }} = '{{ table }}' THEN
            {%- if not about.is_file %} 'gateway'
            {%- elif about.settlement_line %} CASE WHEN {{ utr }} IS NULL THEN 'gateway' ELSE 'settlement' END
            {%- elif about.reports == 'NACH' %} 'bank'
            {%- elif about.reports == 'PAYMENT' %} 'lender'
            {%- else %} 'gateway'
            {%- endif %}
        {%- endfor %}
    END
{%- endmacro %}

{#
    What tells who paid, of a webhook's row: UPI address, phone, customer. Hashed, because only
    equality matters and CORE is read by more people than RAW. Look-ups by RAW's primary key.
#}
{% macro payer_marks_of(row) -%}
    (
        SELECT marked.marks FROM (
        {%- for table, about in registry().items() if about.is_recon and not about.is_file %}
        SELECT ARRAY[
            'upi:' || md5(lower(coalesce(
                {{ at('payload.payment.entity.vpa') }},
                {{ at('data.payment.payment_method.upi.upi_id') }}
            ))),
            'phone:' || md5(right(regexp_replace(coalesce(
                {{ at('payload.payment.entity.contact') }},
                {{ at('data.customer_details.customer_phone') }}
            ), '\D', '', 'g'), 10)),
            'customer:' || md5(coalesce(
                {{ at('payload.payment.entity.customer_id') }},
                {{ at('payload.virtual_account.entity.customer_id') }},
                {{ at('data.customer_details.customer_id') }}
            ))
        ] AS marks
        FROM {{ source('RAW', table) }}
        WHERE {{ row }}.raw_table = '{{ table }}' AND id = {{ row }}.raw_id
        {{ 'UNION ALL' if not loop.last }}
        {%- endfor %}
        ) marked
        OFFSET 0
    )
{%- endmacro %}

{# The RAW tables whose rows are lines of payouts. #}
{% macro settlement_reports() -%}
    {%- set tables = [] -%}
    {%- for table, about in registry().items() if about.settlement_line -%}
        {%- do tables.append(table) -%}
    {%- endfor -%}
    {{ return(tables) }}
{%- endmacro %}

{#
    What a line of a payout says, as columns of text that `ist_date` and `rupees` read; null where its
    report has no such cell. The net is `settled`, or else `credit` less `debit`, of which one may be
    empty.
#}
{% macro settlement_cells(line) -%}
    {%- for field in ('line_id', 'settlement_id', 'settlement_date', 'settled', 'credit', 'debit') %}
    {%- set said = cell(line[field]) if line[field] else 'null::text' %}
    {%- if field == 'settlement_date' %}
    {{ iso_day(said) }}
    {%- elif field in ('settled', 'credit', 'debit') %}
    {{ plain_rupees(said) }}
    {%- else %}
    {{ said }}
    {%- endif %} AS {{ field }} {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
