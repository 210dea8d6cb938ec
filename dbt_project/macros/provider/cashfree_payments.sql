{#
    One observation per Cashfree event about a payment. What is where differs by event:

    PAYMENT_*_WEBHOOK          data.payment and data.order
    SUBSCRIPTION_PAYMENT_*     data itself; `payment_type` AUTH is the mandate's test debit
    PAYMENT_LINK_EVENT         data.order is the payment made on the link; link_amount_paid is a
                               running total and never posted. When it was paid is not said, so the
                               event's own time stands in until the payment's event tells
    …REFUND_STATUS…            data.refund (payments) or data itself (subscriptions); one that failed
                               or was cancelled takes back what was said of it before
    DISPUTE_*                  data.dispute and data.order_details; the money is gone when the
                               merchant has lost or accepted it, whatever the stage; until it is won
                               or closed it is open
    any other                  nothing, unless it states that a payment succeeded: that is asked about

    A link's event does not carry cf_payment_id, and whether its transaction_id is that id is
    documented nowhere. Its order id (`CFPay_…`) is made for the one payment, and the payment's own
    webhook carries it too, so the order is a reference of its own. A link's event has no other. Two
    payments of one order contradict that, and a person is asked.
#}
{% macro cashfree_payments(table) -%}
{%- set raw = source('RAW', table) -%}
{%- set about = registered(table) -%}
{%- set type = at('type') -%}
{%- set order_id = 'coalesce(' ~ at('data.order.order_id') ~ ', ' ~ at('data.refund.order_id')
    ~ ', ' ~ at('data.order_details.order_id') ~ ')' -%}
{%- set cf_payment_id -%}
    coalesce(
        {{ at('data.payment.cf_payment_id') }}, {{ at('data.refund.cf_payment_id') }},
        {{ at('data.order_details.cf_payment_id') }}, {{ at('data.cf_payment_id') }}
    )
{%- endset -%}
{%- set refund_status -%}
    coalesce({{ at('data.refund.refund_status') }}, {{ at('data.refund_status') }})
{%- endset -%}
{%- set is_refund = type ~ " IN ('REFUND_STATUS_WEBHOOK', 'SUBSCRIPTION_REFUND_STATUS')" -%}
{%- set refund_id -%}
    coalesce(
        {{ at('data.refund.cf_refund_id') }}, {{ at('data.refund.refund_id') }},
        {{ at('data.cf_refund_id') }}, {{ at('data.refund_id') }}
    )
{%- endset -%}
{%- set is_failed_refund = is_refund ~ ' AND ' ~ refund_status ~ " IN ('FAILED', 'CANCELLED')" -%}
{%- set is_dispute = "coalesce(" ~ type ~ " LIKE 'DISPUTE\\_%', false)" -%}
{%- set is_lost -%}
    ({{ is_dispute }} AND {{ at('data.dispute.dispute_status') }} ~ 'MERCHANT_(LOST|ACCEPTED)$')
{%- endset -%}
{%- set is_over -%}
    ({{ type }} = 'DISPUTE_CLOSED' OR {{ at('data.dispute.dispute_status') }} ~ 'MERCHANT_WON$')
{%- endset -%}
{%- set status -%}
    coalesce(
        {{ at('data.payment.payment_status') }},
        {{ at('data.order.transaction_status') }},
        {{ at('data.payment_status') }}
    )
{%- endset -%}
{%- set currency -%}
    coalesce(
        {{ at('data.payment.payment_currency') }}, {{ at('data.payment_currency') }},
        {{ at('data.link_currency') }}, {{ at('data.order.order_currency') }}, 'INR'
    )
{%- endset -%}
{%- set is_authorisation -%}
    coalesce(
        {{ at('data.payment_type') }} = 'AUTH' OR {{ type }} = 'SUBSCRIPTION_AUTH_STATUS'
        OR {{ at('data.payment_id') }} = {{ at('data.authorization_details.payment_id') }}, false
    )
{%- endset -%}
{%- set names_payment = '(' ~ cf_payment_id ~ ' IS NOT NULL OR ' ~ order_id ~ " LIKE 'CFPay\\_%')" -%}
{%- set is_of_payment -%}
    coalesce({{ type }} IN (
        'PAYMENT_SUCCESS_WEBHOOK', 'PAYMENT_FAILED_WEBHOOK', 'PAYMENT_USER_DROPPED_WEBHOOK',
        'PAYMENT_LINK_EVENT', 'SUBSCRIPTION_AUTH_STATUS', 'SUBSCRIPTION_PAYMENT_SUCCESS',
        'SUBSCRIPTION_PAYMENT_FAILED', 'SUBSCRIPTION_PAYMENT_CANCELLED'
    ), false)
{%- endset -%}
{%- set is_unknown -%}
    (
        {{ status }} = 'SUCCESS' AND NOT {{ is_authorisation }} AND NOT ({{ is_of_payment }} AND {{ names_payment }})
        AND NOT coalesce({{ is_refund }} OR {{ is_dispute }}, false)
    )
{%- endset -%}
{%- set umrn_methods = "('enach', 'pnach', 'nach')" -%}
{%- call observations(table) %}
    SELECT
        id AS raw_id,
        landed_at,
        replaces_id,
        {{ loan_id_columns(about, 'data') }},
        CASE
            WHEN {{ type }} = 'PAYMENT_LINK_EVENT' THEN {{ ist_date(at('event_time')) }}
            WHEN {{ type }} LIKE 'SUBSCRIPTION\_%'
                THEN coalesce(
                    {{ ist_date(at('data.payment_initiated_date')) }},
                    {{ ist_date(at('data.payment_schedule_date')) }}
                )
            ELSE {{ ist_date(at('data.payment.payment_time')) }}
        END AS payment_date,
        CASE
            WHEN {{ type }} = 'PAYMENT_LINK_EVENT' THEN 1
            WHEN
                {{ type }} LIKE 'SUBSCRIPTION\_%' AND {{ ist_date(at('data.payment_initiated_date')) }} IS NULL
                THEN 2
            ELSE 5
        END AS day_exactness,
        CASE
            WHEN {{ is_refund }} OR {{ is_dispute }} THEN null
            WHEN {{ type }} = 'PAYMENT_LINK_EVENT' THEN {{ money(at('data.order.order_amount'), about.unit) }}
            WHEN {{ type }} LIKE 'SUBSCRIPTION\_%' THEN {{ money(at('data.payment_amount'), about.unit) }}
            ELSE {{ money(at('data.payment.payment_amount'), about.unit) }}
        END AS amount,
        CASE
            WHEN {{ is_failed_refund }} THEN 'pending'
            WHEN {{ is_refund }} THEN 'refund'
            WHEN {{ is_lost }} THEN 'late_return'
            WHEN {{ is_dispute }} AND {{ is_over }} THEN 'pending'
            WHEN {{ is_dispute }} THEN 'disputed'
            WHEN {{ is_unknown }} THEN 'unknown_event'
            WHEN {{ status }} = 'SUCCESS' THEN 'success'
            WHEN {{ status }} IN ('FAILED', 'USER_DROPPED', 'CANCELLED', 'VOID') THEN 'failed'
            ELSE 'pending'
        END AS outcome,
        CASE
            WHEN {{ is_authorisation }} THEN 'the authorisation of a mandate, not an instalment'
            WHEN {{ currency }} <> 'INR' THEN 'paid in ' || {{ currency }}
        END AS objection,
        coalesce(
            CASE
                WHEN {{ is_unknown }} AND {{ is_of_payment }} THEN 'an event that names no payment'
                WHEN {{ is_unknown }} THEN 'an event of a type that is not known: ' || coalesce(left({{ type }}, 100), 'none')
            END,
            CASE WHEN {{ is_lost }} THEN concat_ws(': ', 'a dispute was lost', {{ at('data.dispute.reason_description') }}) END,
            {{ at('data.error_details.error_description') }},
            {{ at('data.failure_details.failure_reason') }},
            {{ at('data.failureDetails.failureReason') }},
            {{ at('data.payment.payment_message') }}
        ) AS failure_reason,
        coalesce('{{ about.ref_namespace }}:' || {{ cf_payment_id }}, {{ order_ref(about, order_id) }}) AS payment_ref,
        {{ order_ref(about, order_id) }} AS order_ref,
        null::bigint AS file_id,
        null::date AS presentation_date,
        coalesce({{ at('data.payment.payment_group') }}, {{ at('data.authorization_details.payment_group') }})
        AS method,
        {{ at('data.payment.bank_reference') }} AS utr,
        CASE
            WHEN {{ at('data.authorization_details.payment_group') }} IN {{ umrn_methods }}
                THEN {{ at('data.authorization_details.authorization_reference') }}
        END AS umrn,
        CASE
            WHEN {{ is_failed_refund }} THEN 0
            WHEN {{ is_refund }}
                THEN coalesce(
                    {{ money(at('data.refund.refund_amount'), about.unit) }},
                    {{ money(at('data.refund_amount'), about.unit) }}
                )
            WHEN {{ is_lost }} THEN {{ money(at('data.dispute.dispute_amount'), about.unit) }}
        END AS refunded_amount,
        CASE
            WHEN {{ is_refund }} THEN {{ refund_id }}
            WHEN {{ is_dispute }} AND NOT {{ is_lost }} THEN {{ at('data.dispute.dispute_id') }}
        END AS refund_id,
        CASE
            WHEN {{ is_refund }} AND {{ refund_id }} IS NOT NULL OR {{ is_dispute }} AND NOT {{ is_lost }}
                THEN {{ moment(at('event_time')) }}
        END AS refund_stated_at
    FROM {{ unpacked(raw) }}
    {{ loan_named(about, 'data') }}
    WHERE
        {{ is_unknown }}
        OR {{ names_payment }} AND (
            {{ is_of_payment }}
            OR {{ is_dispute }}
            -- Of refunds only those that happened or will not, or that Cashfree is making by itself.
            OR {{ is_refund }} AND (
                {{ refund_status }} = 'SUCCESS'
                OR {{ refund_status }} IN ('FAILED', 'CANCELLED') AND {{ refund_id }} IS NOT NULL
                OR {{ at('data.refund.refund_type') }} LIKE '%AUTO_REFUND' AND {{ refund_status }} IN ('PENDING', 'ONHOLD')
            )
        )
{%- endcall %}
{%- endmacro %}

{# The reference of an order that Cashfree made for one payment, on a payment link. #}
{% macro order_ref(about, order_id) -%}
    CASE WHEN {{ order_id }} LIKE 'CFPay\_%' THEN '{{ about.ref_namespace }}-order:' || {{ order_id }} END
{%- endmacro %}
