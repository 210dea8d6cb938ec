{# Whether a report still stands and says that money moved. #}
{% macro tells() -%}
    NOT is_replaced AND (is_success OR outcome IN ('refund', 'late_return'))
{%- endmacro %}

{# What reports of one kind say was paid: the newest that says it was, or one that it came back. #}
{% macro amount_by(kind) -%}
    (
        array_agg(amount ORDER BY is_success DESC, raw_id DESC)
        FILTER (WHERE kind = '{{ kind }}' AND amount > 0 AND {{ tells() }})
    )[1]::numeric(19, 2)
{%- endmacro %}
