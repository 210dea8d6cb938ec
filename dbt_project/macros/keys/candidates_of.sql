{#
    Makes the function that tells, of any observation that has a key, which other payments it could be of: what is
    the same, what proves another, what contradicts. The payment's page shows it. The reasons are
    those of the decision itself, applied to what is known now.
#}
{% macro make_candidates_of() %}
CREATE OR REPLACE FUNCTION "CORE".candidates_of(observation bigint)
RETURNS TABLE (source_key text, same text, other text, contradicted text)
LANGUAGE sql STABLE
AS $function$
    WITH seen AS (
        SELECT 1 AS place, k.source_key AS own_key, k.raw_id, k.raw_table, k.replaces_id, k.file_id, k.payment_ref,
            nullif("CORE".alike(k.payment_ref), '') AS alike, k.order_ref, k.source_lender,
            k.loan_external_id, k.amount, k.payment_date, k.presentation_date, k.presents, k.utr, k.umrn,
            k.by_mandate, s.match_group, s.match_days,
            k.utr IS NOT NULL AND NOT EXISTS (
                SELECT FROM "CORE"."CORE_PAYMENT_KEY" of_other
                WHERE of_other.utr = k.utr AND of_other.loan_external_id <> k.loan_external_id
            ) AS is_own_utr,
            ARRAY(
                SELECT again.again_file_id FROM "CORE"."CORE_FILE_AGAIN" again WHERE again.file_id = k.file_id
            ) AS again_files,
            EXISTS (
                SELECT FROM "CORE"."CORE_PAYMENT_KEY" late
                WHERE late.source_lender = k.source_lender AND late.loan_external_id = k.loan_external_id
                    AND late.out_of_order
            ) AS is_out_of_order
        FROM "CORE"."CORE_PAYMENT_KEY" k
        JOIN "CORE"."CORE_SOURCE" s ON s.raw_table = k.raw_table
        WHERE k.raw_id = observation AND k.reports
        ORDER BY k.batch DESC
        LIMIT 1
    ), {{ candidate_ctes('seen', is_not_replaced_by_another()) }}
    SELECT summed.source_key, {{ each_once('summed.same') }}, {{ each_once('summed.other') }},
        {{ each_once('summed.contradicted') }}
    FROM summed
    JOIN seen ON summed.source_key <> seen.own_key
    LEFT JOIN candidate ON candidate.source_key = summed.source_key
    WHERE summed.same IS NOT NULL
    ORDER BY candidate.source_key IS NULL, summed.first_day, summed.first_raw_id
$function$
{% endmacro %}

{# Whether no row but n itself has taken the place of r. #}
{% macro is_not_replaced_by_another() -%}
    NOT EXISTS (
                SELECT FROM "CORE"."CORE_PAYMENT_KEY" later
                WHERE later.replaces_id = {{ chain('r') }} AND later.raw_id > r.raw_id AND later.raw_id <> n.raw_id
            )
{%- endmacro %}
