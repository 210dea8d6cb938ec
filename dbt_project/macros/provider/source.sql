{# What the registry says of the source that fills a RAW table: lender, unit, loan ids, … #}
{% macro registered(table) -%}
    {%- if execute -%}
        {{ return(graph.sources['source.repayment_platform.RAW.' ~ table].config.meta) }}
    {%- endif -%}
    {#- While dbt parses there is no graph yet; only the call of source() counts then. -#}
    {{ return({'lender': '', 'loan_id_pattern': '', 'loan_id_in': [], 'reports': ''}) }}
{%- endmacro %}

{% macro literal(text) -%}
    '{{ text | replace("'", "''") }}'
{%- endmacro %}
