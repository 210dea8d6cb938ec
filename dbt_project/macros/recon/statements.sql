{#
    What gateways announce of a payout by webhook: one row per event that names a UTR. Few, and
    found by an index on the events' type.
#}
{% macro settlement_statements() -%}
    {%- for table, about in registry().items() if about.is_recon and not about.is_file %}
    {%- set razorpay = 'payload.settlement.entity.' %}
    {%- set cashfree = 'data.settlement.' %}
    SELECT
        id AS raw_id,
        '{{ about.lender }}' AS source_lender,
        {%- if about.ref_namespace == 'razorpay' %}
        {{ at(razorpay ~ 'utr') }} AS utr,
        {{ at(razorpay ~ 'id') }} AS settlement_id,
        {{ at(razorpay ~ 'status') }} AS status,
        {{ ist_date_of_epoch(at(razorpay ~ 'created_at')) }} AS settled_on,
        {{ money(at(razorpay ~ 'amount'), about.unit) }} AS net,
        null::numeric AS gross,
        {{ money(at(razorpay ~ 'fees'), about.unit) }} AS fees
        {%- else %}
        {{ at(cashfree ~ 'utr') }} AS utr,
        {{ at(cashfree ~ 'settlement_id') }} AS settlement_id,
        lower({{ at(cashfree ~ 'status') }}) AS status,
        {{ ist_date(at(cashfree ~ 'settled_on')) }} AS settled_on,
        {{ money(at(cashfree ~ 'amount_settled'), about.unit) }} AS net,
        {{ money(at(cashfree ~ 'payment_amount'), about.unit) }} AS gross,
        {{ money(at(cashfree ~ 'service_charge'), about.unit) }}
        + {{ money(at(cashfree ~ 'service_tax'), about.unit) }} AS fees
        {%- endif %}
    FROM {{ source('RAW', table) }}
    WHERE lower(event_type) LIKE 'settlement%'
    {{ 'UNION ALL' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
