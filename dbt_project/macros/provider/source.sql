{# What the registry says of the source that fills a RAW table: lender, unit, loan ids, … #}
{% macro registered(table) -%}
    {{ return(registry()[table]) }}
{%- endmacro %}

{% macro literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}
