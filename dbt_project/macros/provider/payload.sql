{#
    A RAW table of webhooks, for FROM, with its `payload` unpacked once and not for each path; null
    where it is no object. OFFSET 0 keeps it so, and the table is still read by its primary key.
#}
{% macro unpacked(raw) -%}
    (SELECT id, landed_at, replaces_id, payload AS packed FROM {{ raw }}) delivered
    CROSS JOIN LATERAL (
        SELECT CASE WHEN jsonb_typeof(packed) = 'object' THEN packed #- '{}' END AS payload
        FROM (SELECT 1) once
        OFFSET 0
    ) body
{%- endmacro %}

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

{#
    The loan that a webhook names, for its FROM: what its places say together, so that two that name
    different loans name none. What is weak counts only where no other place names a loan.
    OFFSET 0: all are read once.
#}
{% macro loan_named(about, below) -%}
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN {{ loans_named(about.loan_id_pattern, 'strong') }} > 0
                    THEN {{ loan_external_id(about.loan_id_pattern, 'strong') }}
                ELSE {{ loan_external_id(about.loan_id_pattern, 'weak') }}
            END AS loan
        FROM (
            SELECT
                {{ texts_at(about.loan_id_in, below) }} AS strong,
                {{ texts_at(about.loan_id_weakly_in, below) }} AS weak
            FROM (SELECT 1) once
            OFFSET 0
        ) said
        OFFSET 0
    ) named
{%- endmacro %}

{# What stands at some paths, a line each. #}
{% macro texts_at(paths, below) -%}
    concat_ws(
        E'\n', null
        {%- for path in paths -%}
        , {{ at_notes(below ~ '.' ~ path) }}
        {%- endfor %}
    )
{%- endmacro %}

{# The columns loan_external_id and loan_id_found_in, the first path that names that loan. #}
{% macro loan_id_columns(about, below) -%}
    named.loan AS loan_external_id,
    CASE
        WHEN named.loan IS NULL THEN null
        {%- for path in about.loan_id_in + about.loan_id_weakly_in %}
        WHEN {{ loans_named(about.loan_id_pattern, at_notes(below ~ '.' ~ path)) }} > 0
            THEN '{{ path }}'
        {%- endfor %}
    END AS loan_id_found_in
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
