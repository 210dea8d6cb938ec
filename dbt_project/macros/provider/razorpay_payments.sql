{#
    One observation per Razorpay event with a payment in it, whatever the event: payment.*,
    order.paid, payment_link.paid, subscription.charged, virtual_account.credited, refund.*.
    All facts come from the payment entity: `captured` contradicts `status` in some events, and
    a payment link's own created_at is that of the link. Its amount_refunded is the total of all
    refunds at the time of the event, the event's created_at: after a refund that failed it is less.
    A dispute takes the money back when it is lost; until it is won or closed it is open.
#}
{% macro razorpay_payments(table) -%}
{%- set raw = source('RAW', table) -%}
{%- set about = registered(table) -%}
{%- set payment = 'payload.payment.entity.' -%}
{%- set amount = money(at(payment ~ 'amount'), about.unit) -%}
{%- set refunded = money(at(payment ~ 'amount_refunded'), about.unit) -%}
{%- set is_lost = at('event') ~ " = 'payment.dispute.lost'" -%}
{%- set is_dispute = "coalesce(" ~ at('event') ~ ", '') LIKE 'payment.dispute.%'" -%}
{%- call observations(table) %}
    SELECT
        id AS raw_id,
        landed_at,
        replaces_id,
        {{ loan_id_columns(about, 'payload') }},
        {{ ist_date_of_epoch(at(payment ~ 'created_at')) }} AS payment_date,
        5 AS day_exactness,
        {{ amount }} AS amount,
        CASE
            WHEN {{ at(payment ~ 'id') }} IS NULL THEN 'unknown_event'
            WHEN {{ is_lost }} THEN 'late_return'
            WHEN {{ at('event') }} IN ('payment.dispute.won', 'payment.dispute.closed') THEN 'pending'
            WHEN {{ is_dispute }} THEN 'disputed'
            WHEN {{ refunded }} > 0 THEN 'refund'
            WHEN {{ at(payment ~ 'status') }} = 'captured' THEN 'success'
            WHEN {{ at(payment ~ 'status') }} = 'refunded' THEN 'refund'
            WHEN {{ at(payment ~ 'status') }} = 'failed' THEN 'failed'
            ELSE 'pending'
        END AS outcome,
        CASE
            WHEN {{ at(payment ~ 'currency') }} <> 'INR'
                THEN 'paid in ' || {{ at(payment ~ 'currency') }}
        END AS objection,
        CASE
            WHEN {{ at(payment ~ 'id') }} IS NULL THEN 'an event that names no payment'
            WHEN {{ is_lost }} THEN 'a dispute was lost'
            ELSE coalesce(
                nullif({{ at(payment ~ 'error_reason') }}, ''),
                nullif({{ at(payment ~ 'error_description') }}, '')
            )
        END AS failure_reason,
        '{{ about.ref_namespace }}:' || {{ at(payment ~ 'id') }} AS payment_ref,
        null::text AS order_ref,
        null::bigint AS file_id,
        null::date AS presentation_date,
        {{ at(payment ~ 'method') }} AS method,
        coalesce(
            {{ at('payload.bank_transfer.entity.bank_reference') }},
            {{ at(payment ~ 'acquirer_data.rrn') }},
            {{ at(payment ~ 'acquirer_data.bank_transaction_id') }},
            {{ at(payment ~ 'acquirer_data.upi_transaction_id') }}
        ) AS utr,
        null::text AS umrn,
        CASE
            WHEN {{ is_lost }}
                THEN {{ money(at('payload.dispute.entity.amount_deducted'), about.unit) }}
            WHEN NOT ({{ is_dispute }})
                THEN coalesce({{ refunded }}, CASE WHEN {{ at(payment ~ 'status') }} = 'refunded' THEN {{ amount }} END)
        END AS refunded_amount,
        CASE
            WHEN {{ is_dispute }} AND NOT ({{ is_lost }}) THEN {{ at('payload.dispute.entity.id') }}
        END AS refund_id,
        CASE
            WHEN NOT coalesce({{ is_lost }}, false)
                THEN {{ moment_of_epoch('coalesce(' ~ at('created_at') ~ ', ' ~ at('payload.created_at') ~ ')') }}
        END AS refund_stated_at
    FROM {{ unpacked(raw) }}
    {{ loan_named(about, 'payload') }}
    WHERE
        {{ at(payment ~ 'id') }} IS NOT NULL
        OR {{ at(payment ~ 'status') }} = 'captured' AND NOT ({{ is_dispute }})
{%- endcall %}
{%- endmacro %}
