{#
    Lines up what arrived, in the order in which it is decided, with what tells payments apart.

    What belongs here: the table `waiting`, one row for each observation, and which files report an
    earlier file again. What does not: comparing reports (evidence) and deciding (decide).
#}

{#
    The order is that of arrival: landed at, RAW table, file; within a file in order of day. An observation
    whose loan somebody else names arrives, for this, when that was said. So it does not matter
    whether reports come in one run or in many.

    loan        its own word, else a person's, else that of a report with an equal issued reference
    is_own_utr  no row of another loan that arrived so far bears it
    level       in which round it can be decided at the earliest: as the how many-th of its loan
    old_loan    another loan, of the row that it corrects
    fits        the payments that it may take back
    before_of_… the place of the one before it that has the same loan, reference, … and so a say in it
#}
{% macro line_up_observations() %}
    DROP TABLE IF EXISTS waiting;
    CREATE TEMP TABLE waiting ON COMMIT DROP AS
    WITH said AS (
        SELECT a.*,
            nullif("CORE".alike(a.payment_ref), '') AS alike,
            coalesce(a.loan_external_id, named.loan_external_id, of_ref.loan, of_order.loan) AS loan,
            greatest(
                a.landed_at,
                CASE
                    WHEN a.loan_external_id IS NULL
                        THEN coalesce(named.mapped_at, of_ref.landed_at, of_order.landed_at)
                END
            ) AS arrived_at,
            coalesce(keyed.loan_external_id, arrived.loan_external_id) AS old_loan,
            s.channel, s.match_group, s.match_days,
            coalesce(f.layout = ANY (s.presenting_layouts), false) OR a.presentation_date IS NOT NULL AS presents
        FROM arrival a
        JOIN "CORE"."CORE_SOURCE" s ON s.raw_table = a.raw_table
        LEFT JOIN "CORE"."CORE_FILE_LOG" f ON f.id = a.file_id
        LEFT JOIN LATERAL (
            SELECT m.loan_external_id, m.mapped_at FROM "CORE"."CORE_LOAN_MAPPING" m
            WHERE m.payment_ref IN (a.payment_ref, a.order_ref) OR m.raw_id = {{ chain('a') }}
            ORDER BY m.mapped_at LIMIT 1
        ) named ON true
        LEFT JOIN LATERAL (
            SELECT k.loan_external_id FROM "CORE"."CORE_PAYMENT_KEY" k
            WHERE k.raw_id = a.replaces_id
            ORDER BY k.batch DESC LIMIT 1
        ) keyed ON true
        LEFT JOIN arrival arrived ON arrived.raw_id = a.replaces_id
        LEFT JOIN ({{ first_loan_of('payment_ref') }}) of_ref ON of_ref.name = a.payment_ref
        LEFT JOIN ({{ first_loan_of('order_ref') }}) of_order ON of_order.name = a.order_ref
    ), placed AS (
        SELECT *,
            row_number() OVER (ORDER BY arrived_at, raw_table, file_id, payment_date, raw_id) AS place
        FROM said
    ), rated AS (
        SELECT *,
            outcome IN ('refund', 'late_return')
            OR outcome IN ('return', 'reject', 'failed') AND channel IN ('NACH', 'PAYMENT') AS takes_back,
            utr IS NOT NULL AND loan IS NOT NULL
            AND min(loan) OVER same_utr = max(loan) OVER same_utr AS is_own_utr
        FROM placed
        WINDOW same_utr AS (PARTITION BY utr ORDER BY arrived_at)
    ), decidable AS (
        SELECT *, is_success OR takes_back AS is_decidable FROM rated
    )
    SELECT place, raw_id, raw_table, file_id, replaces_id, payment_ref, alike, order_ref, source_lender,
        loan AS loan_external_id, CASE WHEN old_loan <> loan THEN old_loan END AS old_loan, amount, payment_date, presentation_date, presents, utr, umrn,
        by_mandate, outcome, refund_id, is_success AS reports, takes_back, is_decidable,
        match_group, match_days, channel, '{}'::bigint[] AS again_files, false AS is_late, false AS is_out_of_order,
        null::text[] AS fits,
        is_own_utr AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" k
            WHERE k.utr = decidable.utr AND k.loan_external_id <> decidable.loan
        ) AS is_own_utr,
        CASE
            WHEN is_decidable THEN
                row_number() OVER (
                    PARTITION BY is_decidable, source_lender, coalesce(loan, raw_id::text) ORDER BY place
                )
        END AS level,
        {{ place_before('source_lender, loan') }} AS before_of_loan,
        {{ place_before('alike') }} AS before_of_ref,
        {{ place_before('order_ref') }} AS before_of_order,
        {{ place_before('umrn, amount') }} AS before_of_umrn,
        {{ place_before('coalesce(replaces_id, raw_id)') }} AS before_of_row
    FROM decidable;
    -- No row may have been updated before: its own transaction could not use the indexes then.
    CREATE INDEX ON waiting (place);
    CREATE INDEX ON waiting (level) WHERE is_decidable;
    CREATE INDEX ON waiting (replaces_id) WHERE replaces_id IS NOT NULL;
    CREATE INDEX ON waiting (old_loan) WHERE old_loan IS NOT NULL;
    CREATE INDEX ON waiting (loan_external_id);
    ANALYZE waiting;
    {{ find_files_sent_again() }}
{% endmacro %}

{# The first loan that an arrival with this issued reference names, and when. #}
{% macro first_loan_of(reference) -%}
    SELECT DISTINCT ON ({{ reference }}) {{ reference }} AS name, loan_external_id AS loan, landed_at
    FROM arrival
    WHERE loan_external_id IS NOT NULL AND "CORE".is_issued({{ reference }})
    ORDER BY {{ reference }}, landed_at, raw_table, raw_id
{%- endmacro %}

{# What is decided waits for the one before it with the same of `columns`, where it has them. #}
{% macro place_before(columns) -%}
    CASE
        WHEN is_decidable AND num_nulls({{ columns }}) = 0
            THEN lag(place) OVER (PARTITION BY is_decidable, {{ columns }} ORDER BY place)
    END
{%- endmacro %}


{#
    A file reports an earlier one of its source again if at least half of that one's pairs of loan and day
    stand in it. What corrects a row by name is left out: it says itself what it is about.
#}
{% macro find_files_sent_again() %}
    INSERT INTO "CORE"."CORE_FILE_AGAIN" (file_id, again_file_id)
    WITH pair AS (
        SELECT raw_table, file_id, source_lender, loan_external_id AS loan,
            coalesce(presentation_date, payment_date) AS day,
            min(payment_date) AS first_date, max(payment_date) AS last_date, min(place) AS place
        FROM waiting
        WHERE file_id IS NOT NULL AND replaces_id IS NULL AND loan_external_id IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5
    ), shared AS (
        SELECT pair.file_id, earlier.file_id AS again_file_id, pair.loan, pair.day, pair.raw_table
        FROM pair JOIN pair earlier USING (raw_table, loan, day)
        WHERE earlier.file_id <> pair.file_id AND earlier.place < pair.place
        UNION
        SELECT pair.file_id, k.file_id, pair.loan, pair.day, pair.raw_table
        FROM pair JOIN "CORE"."CORE_PAYMENT_KEY" k
            ON k.source_lender = pair.source_lender AND k.loan_external_id = pair.loan
            AND k.payment_date BETWEEN pair.first_date - {{ reach_days() }} AND pair.last_date + {{ reach_days() }}
        WHERE k.raw_table = pair.raw_table AND k.file_id <> pair.file_id AND k.replaces_id IS NULL
            AND coalesce(k.presentation_date, k.payment_date) = pair.day
    ), counted AS (
        SELECT file_id, again_file_id, raw_table, count(*) AS pairs FROM shared GROUP BY 1, 2, 3
    )
    SELECT counted.file_id, counted.again_file_id
    FROM counted
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT (o.loan_external_id, coalesce(o.presentation_date, o.payment_date))) AS pairs
        FROM "CORE"."CORE_OBSERVATION" o
        WHERE o.raw_table = counted.raw_table AND o.file_id = counted.again_file_id
            AND o.replaces_id IS NULL AND o.loan_external_id IS NOT NULL
    ) earlier
    WHERE counted.pairs * 2 >= earlier.pairs
    ON CONFLICT DO NOTHING;
    UPDATE waiting SET again_files = again.files
    FROM (
        SELECT file_id, array_agg(again_file_id) AS files FROM "CORE"."CORE_FILE_AGAIN"
        WHERE file_id IN (SELECT file_id FROM waiting)
        GROUP BY file_id
    ) again
    WHERE again.file_id = waiting.file_id;
{% endmacro %}
