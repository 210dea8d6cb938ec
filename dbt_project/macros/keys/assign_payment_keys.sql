{#
    Makes the function that decides, once and for ever, which payment each observation belongs to.

    What belongs here: the rules, in their order. What does not: what CORE makes of the
    observations of one payment (core_transaction_data).

    The function reads what lies between CORE_RAW_CUT's keyed_to and cut_id, and beside it the
    earlier provisional observations of the same payments, which may have become proper ones. It
    decides in order of arrival, in rounds: a round takes the first undecided observation of each
    loan and amount that is also the first of its reference and of its row, so that no two of one
    round can concern each other. Returns the number of observations that got a key.
#}
{% macro make_assign_payment_keys() %}
CREATE OR REPLACE FUNCTION "CORE".assign_payment_keys() RETURNS bigint
LANGUAGE plpgsql
-- Plans are made while the tables that are filled here may still be empty; a scan that looks
-- cheap then would be repeated for each of a million observations.
SET enable_seqscan = off
AS $function$
DECLARE
    this_batch bigint;
    keyed bigint := 0;
    added bigint;
    cut record;
BEGIN
    PERFORM set_config('client_min_messages', 'warning', true);
    CREATE TEMP TABLE IF NOT EXISTS arrival (LIKE "CORE"."CORE_OBSERVATION") ON COMMIT DROP;
    TRUNCATE arrival;

    FOR cut IN SELECT * FROM "CORE"."CORE_RAW_CUT" WHERE cut_id > keyed_to ORDER BY raw_table
    LOOP
        -- Literal bounds, so that each RAW table is read through its primary key. Setting
        -- keyed_to back keys what a corrected view shows only now.
        EXECUTE format(
            'INSERT INTO arrival SELECT * FROM "BASE".%I o WHERE raw_id > %s AND raw_id <= %s'
            ' AND NOT EXISTS (SELECT FROM "CORE"."CORE_PAYMENT_KEY" k WHERE k.raw_id = o.raw_id)',
            overlay(cut.raw_table PLACING 'BASE' FROM 1 FOR 3), cut.keyed_to, cut.cut_id
        );
        UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = cut.cut_id WHERE raw_table = cut.raw_table;
    END LOOP;

    {{ recall_provisional_observations() }}
    {{ recall_loose_returns() }}
    IF NOT EXISTS (SELECT FROM arrival)
        AND NOT EXISTS (SELECT FROM "CORE"."CORE_REFOLD" WHERE batch = 0)
    THEN
        RETURN 0;
    END IF;
    this_batch := nextval('"CORE".key_batch');
    UPDATE "CORE"."CORE_REFOLD" SET batch = this_batch WHERE batch = 0;

    {{ line_up_observations() }}
    LOOP
        {{ key_one_round() }}
        GET DIAGNOSTICS added = ROW_COUNT;
        EXIT WHEN added = 0;
        keyed := keyed + added;
    END LOOP;
    LOOP
        {{ attach_unpostable_observations() }}
        GET DIAGNOSTICS added = ROW_COUNT;
        keyed := keyed + added;
        CONTINUE WHEN added > 0;
        {{ attach_loose_returns() }}
        GET DIAGNOSTICS added = ROW_COUNT;
        EXIT WHEN added = 0;
        keyed := keyed + added;
    END LOOP;
    {{ key_the_rest_provisionally() }}
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN keyed + added;
END
$function$
{% endmacro %}


{# The id of the row that a row stands for: replays and corrections name the first one. #}
{% macro chain(row) -%}
    coalesce({{ row }}.replaces_id, {{ row }}.raw_id)
{%- endmacro %}

{# Whether a later row stands for the same as this one. Not by max(): that may read all ids backwards. #}
{% macro is_replaced(row) -%}
    EXISTS (
        SELECT FROM "CORE"."CORE_PAYMENT_KEY" later
        WHERE later.replaces_id = {{ chain(row) }} AND later.raw_id > {{ row }}.raw_id
    )
{%- endmacro %}

{# Whether a row of CORE_PAYMENT_KEY still has a say: no later proper key of its row exists. #}
{% macro is_current(row) -%}
    ({{ row }}.rule <> 'provisional' OR NOT EXISTS (
        SELECT FROM "CORE"."CORE_PAYMENT_KEY" proper
        WHERE proper.raw_id = {{ row }}.raw_id AND proper.rule <> 'provisional'
    ))
{%- endmacro %}

{# The row of BASE behind a key, for LATERAL; OFFSET 0 keeps the look-up by RAW's primary key, key by key. #}
{% macro observation_of(row) -%}
    (
        SELECT o.* FROM "CORE"."CORE_OBSERVATION" o
        WHERE o.raw_table = {{ row }}.raw_table AND o.raw_id = {{ row }}.raw_id
        OFFSET 0
    )
{%- endmacro %}

{% macro namespace(payment_ref) -%}
    split_part({{ payment_ref }}, ':', 1)
{%- endmacro %}


{#
    Adds the provisional observations that are to be decided again: of the payments that were now
    observed, of those whose loan an operator named, and of keys that are to be refolded. Repeated
    until nothing is added, because an added row may have a reference that others share.
#}
{% macro recall_provisional_observations() %}
    LOOP
        INSERT INTO arrival
        SELECT observation.*
        FROM (
            SELECT k.raw_id, k.raw_table FROM arrival a
            JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.payment_ref = a.payment_ref
            WHERE k.rule = 'provisional'
            UNION
            SELECT k.raw_id, k.raw_table FROM arrival a
            JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.raw_id = a.replaces_id
            WHERE k.rule = 'provisional'
            UNION
            SELECT k.raw_id, k.raw_table FROM arrival a
            JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.replaces_id = {{ chain('a') }}
            WHERE k.rule = 'provisional'
            UNION
            SELECT k.raw_id, k.raw_table FROM "CORE"."CORE_LOAN_MAPPING" m
            JOIN "CORE"."CORE_PAYMENT_KEY" k USING (payment_ref)
            WHERE k.rule = 'provisional' AND k.reports AND k.loan_external_id IS NULL
            UNION
            SELECT k.raw_id, k.raw_table FROM "CORE"."CORE_REFOLD" r
            JOIN "CORE"."CORE_PAYMENT_KEY" k USING (source_key)
            WHERE k.rule = 'provisional' AND r.batch = 0
        ) earlier
        CROSS JOIN LATERAL {{ observation_of('earlier') }} observation
        WHERE NOT EXISTS (SELECT FROM arrival a WHERE a.raw_id = earlier.raw_id)
            AND NOT EXISTS (
                SELECT FROM "CORE"."CORE_PAYMENT_KEY" proper
                WHERE proper.raw_id = earlier.raw_id AND proper.rule <> 'provisional'
            );
        EXIT WHEN NOT FOUND;
    END LOOP;
{% endmacro %}


{#
    Adds the returns that named no payment and found none, where a payment arrived that they can
    be of: a return may land before its payment.
#}
{% macro recall_loose_returns() %}
    INSERT INTO arrival
    SELECT observation.*
    FROM (
        SELECT DISTINCT k.raw_id, k.raw_table
        FROM arrival a
        JOIN "CORE"."CORE_PAYMENT_KEY" k
            ON k.source_lender = a.source_lender AND k.loan_external_id = a.loan_external_id
            AND k.amount <= a.amount
        WHERE a.is_success AND k.rule = 'provisional' AND k.payment_ref IS NULL AND NOT k.reports
            AND k.payment_date BETWEEN a.payment_date AND a.payment_date + {{ return_days() }}
            AND NOT EXISTS (SELECT FROM arrival b WHERE b.raw_id = k.raw_id)
            AND {{ is_current('k') }}
    ) earlier
    CROSS JOIN LATERAL {{ observation_of('earlier') }} observation
    WHERE {{ is_loose_return('observation') }};
{% endmacro %}


{#
    Gives each observation its place in the order of arrival, its loan (an operator's word, its
    own, or that of another observation of the same reference) and the place of the one before it
    with the same loan and amount, the same reference, the same row.
#}
{% macro line_up_observations() %}
    DROP TABLE IF EXISTS waiting;
    CREATE TEMP TABLE waiting ON COMMIT DROP AS
    WITH known AS (
        SELECT a.*,
            row_number() OVER (ORDER BY a.landed_at, a.raw_table, a.raw_id) AS place,
            coalesce(m.loan_external_id, a.loan_external_id, of_ref.loan_external_id) AS loan
        FROM arrival a
        LEFT JOIN "CORE"."CORE_LOAN_MAPPING" m USING (payment_ref)
        LEFT JOIN (
            SELECT payment_ref,
                (array_agg(loan_external_id ORDER BY landed_at, raw_table, raw_id))[1] AS loan_external_id
            FROM arrival
            WHERE payment_ref IS NOT NULL AND loan_external_id IS NOT NULL
            GROUP BY payment_ref
        ) of_ref USING (payment_ref)
    )
    SELECT place, raw_id, raw_table, replaces_id, payment_ref, source_lender,
        loan AS loan_external_id, amount, payment_date, is_success AS reports,
        is_success AND loan IS NOT NULL AS is_postable, outcome, refund_id,
        {{ place_before('source_lender, loan, amount') }} AS before_of_money,
        CASE WHEN payment_ref IS NOT NULL THEN {{ place_before('payment_ref') }} END AS before_of_ref,
        {{ place_before('coalesce(replaces_id, raw_id)') }} AS before_of_row
    FROM known;
    -- No row may have been updated before: its own transaction could not use the indexes then.
    CREATE INDEX ON waiting (place);
    CREATE INDEX ON waiting (replaces_id) WHERE replaces_id IS NOT NULL;
    CREATE INDEX ON waiting (payment_ref) WHERE outcome IN ('refund', 'late_return');
    ANALYZE waiting;
{% endmacro %}

{% macro place_before(same) -%}
    lag(place) OVER (PARTITION BY {{ same }}, is_success AND loan IS NOT NULL ORDER BY place)
{%- endmacro %}
