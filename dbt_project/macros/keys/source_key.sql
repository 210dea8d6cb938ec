{#
    The one definition of a payment's key: md5 of the upper-case lender code, the loan's external
    id, the payment date as YYYY-MM-DD (Asia/Kolkata) and the amount in rupees with two decimals,
    put together with nothing between them. `n` > 0 tells further payments of the same formula
    apart by '#n'. Its Python twin serves tests and look-ups.
#}
{% macro source_key(source_lender, loan_external_id, payment_date, amount, n='0') -%}
    md5(
        upper({{ source_lender }}) || {{ loan_external_id }} || to_char({{ payment_date }}, 'YYYY-MM-DD')
        || ({{ amount }})::numeric(19, 2)::text
        || CASE WHEN {{ n }} > 0 THEN '#' || {{ n }} ELSE '' END
    )
{%- endmacro %}
