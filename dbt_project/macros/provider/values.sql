{#
    Readings of text that a provider sent. Each gives null, and never raises, for nonsense: what is
    cast has a shape that can be cast, and so an end. [0-9], because \d is every script's digits.
#}

{# Rupees with at most two decimals. Thirteen digits before the point are what Fineract takes, and few
   enough for sums; of zeros behind the decimals some are usual, and 20,000 more than PostgreSQL casts. #}
{% macro rupees(text) -%}
    CASE WHEN {{ text }} ~ '^-?[0-9]{1,13}(\.[0-9]{1,2}0{0,16})?$' THEN ({{ text }})::numeric(19, 2) END
{%- endmacro %}

{# A sum of rupees as numeric(19, 2): one that does not fit stands at the edge, instead of raising. #}
{% macro within_rupees(sum) -%}
    CASE
        WHEN abs({{ sum }}) < 1e16 THEN ({{ sum }})::numeric(19, 2)
        ELSE sign({{ sum }}) * 1e16
    END::numeric(19, 2)
{%- endmacro %}

{#
    The money in a file's cell as `rupees` reads it. Files write it as the loader reads it (money.py):
    `₹ 1,25,000.00`, `Rs. 500/-`, `(500.00)`, `500 Dr`.
#}
{% macro plain_rupees(text) -%}
    regexp_replace(
        regexp_replace({{ text }}, '/-|Rs\.?|INR|Cr\.?|[^[:alnum:].()-]', '', 'gi'),
        '^\((.*)\)$|^(.*)Dr\.?$', '-\1\2', 'i'
    )
{%- endmacro %}

{# Whole paise, as rupees. #}
{% macro paise(text) -%}
    CASE WHEN {{ text }} ~ '^-?[0-9]{1,15}(\.0{1,16})?$' THEN (({{ text }})::numeric / 100)::numeric(19, 2) END
{%- endmacro %}

{% macro money(text, unit) -%}
    {{ paise(text) if unit == 'paise' else rupees(text) }}
{%- endmacro %}

{# The day in Kolkata of seconds since 1970; twelve digits would leave the calendar. #}
{% macro ist_date_of_epoch(text) -%}
    CASE
        WHEN {{ text }} ~ '^[0-9]{1,11}$'
            THEN (to_timestamp(({{ text }})::bigint) AT TIME ZONE 'Asia/Kolkata')::date
    END
{%- endmacro %}

{#
    The day in Kolkata of an ISO 8601 date or timestamp; one without an offset is Kolkata's own
    (Cashfree's link_created_at and bare dates). The length of the month is checked by hand,
    because casting 31 February raises.
#}
{% macro ist_date(text) -%}
    CASE
        WHEN {{ text }} !~ '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?)?$'
            THEN null
        WHEN substr({{ text }}, 9, 2)::integer > extract(
            DAY FROM (left({{ text }}, 7) || '-01')::date + interval '1 month - 1 day'
        ) THEN null
        WHEN {{ text }} ~ '(Z|[+-][0-9][0-9]:?[0-9][0-9])$' AND length({{ text }}) > 10
            THEN (({{ text }})::timestamptz AT TIME ZONE 'Asia/Kolkata')::date
        ELSE left({{ text }}, 10)::date
    END
{%- endmacro %}

{# The moment of an ISO 8601 timestamp as `ist_date` reads it. #}
{% macro moment(text) -%}
    CASE
        WHEN {{ ist_date(text) }} IS NULL THEN null
        WHEN {{ text }} ~ '(Z|[+-][0-9][0-9]:?[0-9][0-9])$' AND length({{ text }}) > 10 THEN ({{ text }})::timestamptz
        ELSE ({{ text }})::timestamp AT TIME ZONE 'Asia/Kolkata'
    END
{%- endmacro %}

{# The moment of seconds since 1970, as `ist_date_of_epoch` reads them. #}
{% macro moment_of_epoch(text) -%}
    CASE WHEN {{ text }} ~ '^[0-9]{1,11}$' THEN to_timestamp(({{ text }})::bigint) END
{%- endmacro %}

{# A day that a file writes first, `20/11/2025 10:15:00`, as `ist_date` reads it. #}
{% macro iso_day(text) -%}
    regexp_replace({{ text }}, '^([0-9][0-9])[/-]([0-9][0-9])[/-]([0-9]{4})', '\3-\2-\1')
{%- endmacro %}

{#
    The loan that a text such as `ugro-ln-000123/EMI5` names, in Fineract's spelling; null where it
    names none, or two: which of them was meant is for a person to say. Two it names, too, where a
    further number of as many digits follows, as in `IKF-LN-5511/5512` (the loader's ids.py says the
    same).
#}
{% macro loan_external_id(pattern, text) -%}
    CASE
        WHEN upper({{ text }}) ~ {{ literal('(?<![A-Z0-9])(' ~ pattern ~ ')' ~ further_number()) }} THEN (
            SELECT one.id
            FROM (
                SELECT substring(upper({{ text }}) FROM {{ whole_loan_id(pattern) }}) AS id
                FROM (VALUES (0)) once (n) OFFSET 0
            ) one
            CROSS JOIN LATERAL (
                SELECT substring(
                    substr(upper({{ text }}), strpos(upper({{ text }}), one.id) + length(one.id))
                    FROM {{ literal('^' ~ further_number()) }}
                ) AS number
                FROM (VALUES (0)) once (n) OFFSET 0
            ) further
            WHERE {{ loans_named(pattern, text) }} = 1 AND (
                further.number IS NULL OR one.id LIKE '%' || further.number
                OR length(further.number) IS DISTINCT FROM length(substring(one.id FROM '\d+$'))
            )
        )
        WHEN {{ loans_named(pattern, text) }} > 1 THEN (
            SELECT min(id[1]) FROM regexp_matches(upper({{ text }}), {{ whole_loan_id(pattern) }}, 'g') named (id)
            HAVING min(id[1]) = max(id[1])
        )
        ELSE substring(upper({{ text }}) FROM {{ whole_loan_id(pattern) }})
    END
{%- endmacro %}

{# A number that stands behind an id in one line. #}
{% macro further_number() -%}
    (?:[^A-Z0-9\n]{1,3}|\s+AND\s+)(\d+)(?![A-Z0-9])
{%- endmacro %}

{# How many loan ids a text has, the same one again counted again. #}
{% macro loans_named(pattern, text) -%}
    regexp_count(upper({{ text }}), {{ whole_loan_id(pattern) }})
{%- endmacro %}

{# An id that runs on into other letters or digits is another id, so it is not taken. #}
{% macro whole_loan_id(pattern) -%}
    {{ literal('(?<![A-Z0-9])(' ~ pattern ~ ')(?![A-Z0-9])') }}
{%- endmacro %}
