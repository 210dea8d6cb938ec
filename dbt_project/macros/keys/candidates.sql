{#
    Which payments a new report `n` could be of, and what each of them has in common with it.

    What belongs here: finding candidates by indexes, and drawing their reports together payment by
    payment. What does not: the reasons themselves (evidence), the conclusion (decide).
#}

{# Keys of payments that share something with n. Found by indexes alone; evidence says what it is worth. #}
{% macro keys_near() -%}
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE "CORE".alike(k.payment_ref) = n.alike AND k.payment_ref IS NOT NULL
        AND k.reports AND k.rule <> 'provisional'
    UNION
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.order_ref = n.order_ref AND k.reports AND k.rule <> 'provisional'
    UNION
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.umrn = n.umrn AND k.amount = n.amount AND k.reports AND k.rule <> 'provisional'
        AND abs(k.payment_date - n.payment_date) <= {{ report_days() }} + {{ reach_days() }}
    UNION
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.source_lender = n.source_lender AND k.loan_external_id = n.loan_external_id
        AND k.payment_date BETWEEN n.payment_date - {{ late_days('n.is_out_of_order') }} - {{ reach_days() }}
        AND n.payment_date + {{ late_days('n.is_out_of_order') }} + {{ reach_days() }}
        AND k.reports AND k.rule <> 'provisional'
    UNION
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE n.is_own_utr AND k.utr = n.utr AND k.reports AND k.rule <> 'provisional'
    UNION
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.raw_id = n.replaces_id AND k.rule <> 'provisional'
    UNION
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.replaces_id = n.replaces_id AND k.rule <> 'provisional'
{%- endmacro %}


{#
    CTEs that end in `candidate`: for each row n of `reports_seen` one row for each payment that n could be of, and
    that is not proven another.

        proof          number of the strongest proof that n is of it, or null; null too if contradicted
        same, other    reasons in words, separated by '|'
        contradicted
        first_day      the earliest day that its reports state: of several, the oldest is taken
        first_raw_id   the first row that reports it
        has_source     it has a report of n's source, or a payment has that a person ruled the same
        is_that_row    n is one of its rows, corrected, or unchanged in a file that was sent again

    What proves another does not count against a row that n corrects, nor against a row that its file reports
    again: there the difference may be the correction. Only issued references tell even these apart.

    A report counts while no later row has taken its place; of a payment all of whose rows were
    replaced or withdrawn, all count. `is_standing` is the SQL for that, of a report r and n.
#}
{% macro candidate_ctes(reports_seen, is_standing) %}
        near AS (
            SELECT n.place, k.source_key FROM {{ reports_seen }} n CROSS JOIN LATERAL (
                {{ keys_near() }}
            ) k
        ), report AS (
            SELECT near.place, r.*, {{ is_standing }} AS is_standing
            FROM near
            JOIN {{ reports_seen }} n ON n.place = near.place
            CROSS JOIN LATERAL (
                SELECT * FROM "CORE"."CORE_PAYMENT_KEY" k WHERE k.source_key = near.source_key OFFSET 0
            ) r
            WHERE r.reports AND r.rule <> 'provisional' AND r.raw_id <> n.raw_id
        ), of_payment AS (
            SELECT report.*,
                is_standing OR NOT bool_or(is_standing) OVER payment AS counts,
                bool_or(is_standing AND report.raw_table = n.raw_table) OVER payment
                OR {{ has_source_by_ruling('n', 'report') }} AS has_source
            FROM report JOIN {{ reports_seen }} n ON n.place = report.place
            WINDOW payment AS (PARTITION BY report.place, source_key)
        ), compared AS (
            SELECT n.place, r.source_key, r.raw_id, r.payment_date, r.presentation_date, r.counts, r.has_source,
                c.is_same_file, c.is_replaced_by_it, c.is_reported_again, c.are_both_issued,
                {{ same_because('r.has_source') }} AS same,
                {{ other_because() }} || CASE
                    WHEN c.is_equal_utr OR c.is_alike_reference THEN '{}'
                    WHEN bool_or(
                        r.counts AND (c.is_same_source OR c.are_both_issued) AND (c.is_equal_utr OR c.is_alike_reference)
                    ) OVER payment THEN '{}'
                    ELSE {{ other_unless_linked() }}
                END AS other,
                {{ contradicted_by() }} AS contradicted,
                {{ proof() }} AS proof,
                {{ is_row_corrected() }} OR {{ is_row_again() }} AS is_that_row
            FROM of_payment r
            JOIN {{ reports_seen }} n ON n.place = r.place
            JOIN "CORE"."CORE_SOURCE" s ON s.raw_table = r.raw_table
            CROSS JOIN LATERAL ({{ comparison() }}) c
            WINDOW payment AS (PARTITION BY n.place, r.source_key)
        ), summed AS (
            SELECT place, source_key,
                bool_or(has_source) AS has_source,
                bool_or(is_same_file) AS has_same_file,
                min(payment_date) AS first_day,
                min(raw_id) AS first_raw_id,
                string_agg(array_to_string(same, '|'), '|') FILTER (WHERE same <> '{}') AS same,
                string_agg(array_to_string(other, '|'), '|') FILTER (WHERE counts AND other <> '{}') AS other,
                string_agg(array_to_string(contradicted, '|'), '|')
                    FILTER (WHERE counts AND contradicted <> '{}' AND NOT is_replaced_by_it) AS contradicted,
                bool_or(is_replaced_by_it) AS is_corrected,
                bool_or(is_that_row) AS is_that_row,
                bool_or(is_reported_again) AND NOT bool_or(is_same_file)
                AND NOT bool_or(counts AND are_both_issued AND other <> '{}') AS is_again,
                min(proof) FILTER (WHERE counts OR proof IN (1, 3)) AS proof
            FROM compared
            GROUP BY place, source_key
        ), candidate AS (
            SELECT summed.*,
                CASE
                    WHEN contradicted IS NOT NULL THEN null
                    WHEN proof <= 3 THEN proof
                    WHEN has_same_file THEN null
                    WHEN proof = 7 AND has_source THEN null
                    ELSE proof
                END AS proven
            FROM summed
            WHERE same IS NOT NULL AND (other IS NULL OR is_corrected OR is_again)
        )
{%- endmacro %}

{# Whether a person ruled a payment that n's source reports the same as that of `report`. #}
{% macro has_source_by_ruling(n, report) -%}
    EXISTS (
                    SELECT FROM "CORE"."CORE_HOLD" ruling
                    JOIN "CORE"."CORE_PAYMENT_KEY" ruled ON ruled.source_key = ruling.source_key
                    WHERE ruling.facts ->> 'other_key' = {{ report }}.source_key AND ruling.decision = 'same_payment'
                        AND ruled.raw_table = {{ n }}.raw_table AND ruled.reports AND ruled.rule <> 'provisional'
                )
{%- endmacro %}
