{#
    The conclusion: which payment each report of a round belongs to.

        proven the same by the strongest proof as exactly one    it joins that payment; of several equally
                                                                 proven ones, that which has this very row
        nothing is left that it could be                         a payment of its own
        anything else                                            a key of its own, and a person decides

    A report without a loan can only join; else it waits until its loan is known. The proofs stand in
    `evidence`. Three things are no proof any more, so that a person decides:

    * A payment that was returned or refunded before n's day: what is paid later may be the money that was
      paid instead, under whatever reference. (Not where n names the row, the issued reference, or
      stands unchanged in a file that was sent again.)
    * A payment that a person has ruled out, unless n bears its reference.
    * Of several that only loan, amount and day speak for, the oldest is taken; but not while another
      is left that has a report of n's source, for n could be that report again.
#}
{% macro decide_reports() %}
        WITH reported AS (
            SELECT * FROM turn WHERE reports
        ), {{ candidate_ctes('reported', stands('r', 'n')) }}, allowed AS (
            SELECT c.*, back.was_given_back,
                CASE
                    WHEN back.was_given_back THEN null
                    WHEN c.proven > 3 AND EXISTS ({{ ruled_out('c.source_key') }}) THEN null
                    ELSE c.proven
                END AS holds_good
            FROM candidate c JOIN reported n ON n.place = c.place
            CROSS JOIN LATERAL (
                SELECT c.proven IN (2, 5, 6, 7) AND NOT c.is_that_row AND EXISTS ({{ given_back_before() }})
                    AS was_given_back
            ) back
        ), ranked AS (
            SELECT *,
                min(holds_good) OVER (PARTITION BY place) AS best,
                count(*) OVER (PARTITION BY place, holds_good, is_that_row) AS equally_good,
                count(*) FILTER (WHERE has_source) OVER (PARTITION BY place) AS with_source,
                row_number() OVER (
                    PARTITION BY place
                    ORDER BY holds_good NULLS LAST, is_that_row DESC, proof NULLS LAST, first_day, first_raw_id,
                        source_key
                ) AS nth
            FROM allowed
        ), front AS (
            SELECT place, source_key AS other_key, best, names.candidates, names.clears_again,
                CASE
                    WHEN best < 7 AND equally_good = 1 OR best = 7 AND with_source = 0 THEN source_key
                END AS joins_key
            FROM ranked
            JOIN (
                SELECT place, {{ told_of_candidates() }} AS candidates, bool_or(was_given_back) AS clears_again
                FROM ranked GROUP BY place
            ) names USING (place)
            WHERE nth = 1
        ), judged AS (
            SELECT n.*, l.other_key, l.best, l.candidates, l.clears_again, l.joins_key, coalesce(taken.last_n + 1, 0) AS nth_equal,
                CASE
                    WHEN l.joins_key IS NOT NULL AND best <= 2 THEN 'same_ref'
                    WHEN l.joins_key IS NOT NULL AND best = 3 THEN 'replaces'
                    WHEN l.joins_key IS NOT NULL THEN 'same_money'
                    WHEN n.loan_external_id IS NULL THEN 'provisional'
                    WHEN l.place IS NOT NULL THEN 'held'
                    WHEN taken.last_n IS NOT NULL THEN 'proven_another'
                    ELSE 'new'
                END AS rule
            FROM reported n
            LEFT JOIN front l ON l.place = n.place
            LEFT JOIN LATERAL ({{ last_made_of('n') }}) taken ON true
        ), decided AS (
            SELECT *,
                coalesce(
                    joins_key,
                    {{ source_key('source_lender', 'loan_external_id', 'payment_date', 'amount', 'nth_equal') }}
                ) AS source_key
            FROM judged
            WHERE rule <> 'provisional'
        ), later AS (
            INSERT INTO unplaced SELECT n.* FROM turn n JOIN judged j ON j.place = n.place
            WHERE j.rule = 'provisional'
        ), asked AS (
            INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
            SELECT source_key, CASE WHEN clears_again THEN 'cleared_again' ELSE 'possible_duplicate' END,
                {{ question('candidates') }},
                jsonb_build_object('loan', loan_external_id, 'amount', amount, 'date', payment_date,
                    'other_key', other_key, 'candidates', candidates)
            FROM decided WHERE rule = 'held'
            ON CONFLICT DO NOTHING
        ), doubted AS (
            {{ doubt_loans_of_candidates() }}
        )
        INSERT INTO "CORE"."CORE_PAYMENT_KEY" ({{ key_columns() }}, because)
        SELECT raw_id, raw_table, replaces_id, source_key, rule,
            CASE WHEN joins_key IS NULL THEN nth_equal END,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch,
            outcome, file_id, presentation_date, presents, order_ref, utr, umrn, by_mandate, is_late,
            CASE
                WHEN joins_key IS NOT NULL
                    THEN (ARRAY[{% for word in words_of_proofs() %}{{ literal(word) }}{{ ', ' if not loop.last }}{% endfor %}])[best]
                WHEN rule = 'held' THEN {{ question('candidates') }}
            END
        FROM decided;
{% endmacro %}

{# The last n of the keys that were made of n's loan, date and amount, whatever loan they are of since. #}
{% macro last_made_of(n) -%}
                SELECT max(made.occurrence) AS last_n FROM (
                    SELECT k.occurrence FROM "CORE"."CORE_PAYMENT_KEY" k
                    WHERE k.source_lender = {{ n }}.source_lender AND k.loan_external_id = {{ n }}.loan_external_id
                        AND k.payment_date = {{ n }}.payment_date AND k.amount = {{ n }}.amount AND k.made_of_loan IS NULL
                    UNION ALL
                    SELECT k.occurrence FROM "CORE"."CORE_PAYMENT_KEY" k
                    WHERE k.source_lender = {{ n }}.source_lender AND k.made_of_loan = {{ n }}.loan_external_id
                        AND k.payment_date = {{ n }}.payment_date AND k.amount = {{ n }}.amount
                ) made
{%- endmacro %}

{% macro words_of_proofs() -%}
    {{ return([
        'the payment system gave both one reference',
        'equal reference, amount and day in the same source',
        'it corrects a row of that payment',
        'the same row in a file that was sent again',
        'equal loan, amount, UMRN and day of presentation in the same source',
        'two sources of one group, equal loan, amount and UTR',
        'two sources of one group, equal loan and amount, close in time',
    ]) }}
{%- endmacro %}

{% macro key_columns() -%}
    raw_id, raw_table, replaces_id, source_key, rule, occurrence,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, batch,
            outcome, file_id, presentation_date, presents, order_ref, utr, umrn, by_mandate, out_of_order
{%- endmacro %}

{# What the candidates of a report are, for whoever decides: their keys, what is the same and what differs. #}
{% macro told_of_candidates() -%}
    jsonb_agg(
                    jsonb_strip_nulls(jsonb_build_object(
                        'key', source_key,
                        'same', {{ each_once('same') }},
                        'other', {{ each_once('other') }},
                        'contradicted', {{ each_once('contradicted') }}
                    )) ORDER BY nth
                )
{%- endmacro %}

{% macro each_once(words) -%}
    (SELECT string_agg(DISTINCT word, ', ') FROM unnest(string_to_array({{ words }}, '|')) word)
{%- endmacro %}

{# The question to a person, in words. #}
{% macro question(candidates) -%}
    (
                SELECT 'may be the same money as ' || string_agg(
                    format('payment %s (%s%s%s)', c ->> 'key', c ->> 'same',
                        '; but ' || nullif(c ->> 'contradicted', ''),
                        '; yet ' || nullif(c ->> 'other', '')), ', or '
                ) FROM jsonb_array_elements({{ candidates }}) c
            )
{%- endmacro %}

{# What took candidate `c` back before n, by the days they state and then by arrival: a return, a refund, or a
   bounce after a success of its own source. #}
{% macro given_back_before() -%}
    SELECT FROM "CORE"."CORE_PAYMENT_KEY" back
                        JOIN "CORE"."CORE_SOURCE" s ON s.raw_table = back.raw_table
                        WHERE back.source_key = c.source_key AND back.rule <> 'provisional'
                            AND coalesce({{ stated_day('back', 'n') }} <= {{ stated_day('n', 'back') }}, true)
                            AND (back.outcome IN ('refund', 'late_return') OR {{ is_bounce('back') }}
                                AND s.channel IN ('NACH', 'PAYMENT') AND EXISTS (
                                    SELECT FROM "CORE"."CORE_PAYMENT_KEY" paid
                                    WHERE paid.source_key = back.source_key AND paid.raw_table = back.raw_table
                                        AND paid.reports AND paid.rule <> 'provisional' AND paid.raw_id < back.raw_id
                                        AND {{ stated_day('paid', 'back') }} <= {{ stated_day('back', 'paid') }}
                                ))
{%- endmacro %}

{# The day of `row` in the order of time: of presentation where both state one. #}
{% macro stated_day(row, other) -%}
    CASE WHEN {{ other }}.presentation_date IS NULL THEN {{ row }}.payment_date
        ELSE coalesce({{ row }}.presentation_date, {{ row }}.payment_date) END
{%- endmacro %}

{% macro ruled_out(source_key) -%}
    SELECT FROM "CORE"."CORE_HOLD" ruling
                        WHERE ruling.source_key = {{ source_key }}
                            AND ruling.decision IN ('same_payment', 'not_a_repayment')
{%- endmacro %}

{# A payment that is proven to be n's but for its loan waits too, as long as it is not posted: either loan
   may be the wrong one. #}
{% macro doubt_loans_of_candidates() -%}
            INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
            SELECT made.source_key, 'another_loan',
                format('a report of %s names loan %s', coalesce(d.payment_ref, 'the same money'), d.loan_external_id),
                jsonb_build_object('loan', made.loan_external_id, 'amount', made.amount,
                    'date', made.payment_date, 'named_by', d.source_key)
            FROM decided d
            JOIN allowed a ON a.place = d.place AND a.proof <= 3 AND a.contradicted LIKE '%another loan%'
            JOIN "CORE"."CORE_PAYMENT_KEY" made ON made.source_key = a.source_key AND made.occurrence IS NOT NULL
            WHERE d.rule = 'held' AND NOT EXISTS (
                SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                WHERE p.source_key = made.source_key AND p.status = 'success'
            )
            ON CONFLICT DO NOTHING
{%- endmacro %}
