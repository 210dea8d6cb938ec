{# The text at a dotted path of the JSON column `payload`. #}
{% macro at(path) -%}
    (payload #>> '{ {{- path | replace('.', ',') -}} }')
{%- endmacro %}

{#
    The same for a path that may go through Razorpay's `notes`, which can be an object, an empty
    list, null or a string that holds JSON.
#}
{% macro at_notes(path) -%}
    {%- set parent, _, key = path.rpartition('.') -%}
    {%- if parent.endswith('.notes') -%}
    coalesce(
        {{ at(path) }},
        CASE
            WHEN jsonb_typeof(payload #> '{ {{- parent | replace('.', ',') -}} }') = 'string'
                THEN substring({{ at(parent) }} FROM '"{{ key }}"\s*:\s*"?([^",}]*)')
        END
    )
    {%- else -%}
    {{ at(path) }}
    {%- endif -%}
{%- endmacro %}

{# The columns loan_external_id and loan_id_found_in: the first path that holds a loan id. #}
{% macro loan_id_columns(about, below) -%}
    {%- if about.loan_id_in -%}
    coalesce(
        {%- for path in about.loan_id_in %}
        {{ loan_external_id(about.loan_id_pattern, at_notes(below ~ '.' ~ path)) }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    ) AS loan_external_id,
    CASE
        {%- for path in about.loan_id_in %}
        WHEN {{ loan_external_id(about.loan_id_pattern, at_notes(below ~ '.' ~ path)) }} IS NOT NULL
            THEN '{{ path }}'
        {%- endfor %}
    END AS loan_id_found_in
    {%- else -%}
    null::text AS loan_external_id, null::text AS loan_id_found_in
    {%- endif -%}
{%- endmacro %}

{# Letters and digits in lower case: how headers are compared, here as where they are read. #}
{% macro canonical(text) -%}
    regexp_replace(lower({{ text }}), '[^a-z0-9]', '', 'g')
{%- endmacro %}

{#
    The cell of a file's row, in the JSON column `cells`, under the header that is spelled so, or
    else under one that has the same letters and digits; null where it is empty.
#}
{% macro cell(headers) -%}
    nullif(trim(coalesce(
        {%- for header in headers %}
        cells ->> {{ literal(header) }},
        {%- endfor %}
        (
            SELECT value FROM jsonb_each_text(cells)
            WHERE {{ canonical('key') }} IN (
                {%- for header in headers %} {{ canonical(literal(header)) }} {{- ',' if not loop.last }}
                {%- endfor %}
            )
            LIMIT 1
        )
    )), '')
{%- endmacro %}
