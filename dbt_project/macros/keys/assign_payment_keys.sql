{#
    Makes the function that decides, once and for ever, which payment each observation belongs to.

    What belongs here: the course of the function, and what it looks at again. What does not: loans that a
    person corrected (corrected_loans), the order (line_up), what speaks for and against (evidence), the conclusion (decide, taking_back), and what
    CORE makes of the observations of one payment (core_transaction_data).

    The function reads what lies between CORE_RAW_CUT's keyed_to and cut_id, and beside it the
    earlier provisional observations of the same payments, which may have become proper ones. It
    decides in rounds: a round takes the observations that have nothing undecided before them that
    could have a say in them, so that no two of one round can concern each other. Returns the number
    of observations that got a key.
#}
{% macro make_assign_payment_keys() %}
CREATE OR REPLACE FUNCTION "CORE".assign_payment_keys() RETURNS bigint
LANGUAGE plpgsql
-- Plans are made while the tables that are filled here may still be empty; a scan that looks
-- cheap then would be repeated for each of a million observations, and two tables would be
-- multiplied before what they have in common is looked up. So joins are done as they are written.
SET enable_seqscan = off
SET join_collapse_limit = 1
AS $function$
DECLARE
    this_batch bigint;
    -- Keys that are to be folded again. Whose note comes later waits for the next run.
    refolded text[];
    keyed bigint := 0;
    added bigint;
    round integer := 0;
    taken bigint := 0;
    cut record;
BEGIN
    PERFORM set_config('client_min_messages', 'warning', true);
    {{ fill_in_old_keys() }}
    refolded := ARRAY(SELECT source_key FROM "CORE"."CORE_REFOLD" WHERE batch = 0 FOR UPDATE);
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

    {{ take_up_corrected_loans() }}
    {{ recall_provisional_observations() }}
    {{ recall_takings_back() }}
    IF refolded = '{}' AND NOT EXISTS (SELECT FROM arrival) THEN
        RETURN 0;
    END IF;
    this_batch := nextval('"CORE".key_batch');
    UPDATE "CORE"."CORE_REFOLD" SET batch = this_batch WHERE source_key = ANY (refolded);

    {{ line_up_observations() }}
    DROP TABLE IF EXISTS turn, unplaced, retry;
    CREATE TEMP TABLE turn (LIKE waiting) ON COMMIT DROP;
    CREATE TEMP TABLE unplaced (LIKE waiting) ON COMMIT DROP;
    CREATE TEMP TABLE retry (LIKE waiting) ON COMMIT DROP;
    CREATE INDEX ON turn (place);
    {%- for same in ('place', 'loan_external_id', 'alike', 'order_ref', 'umrn') %}
    CREATE INDEX ON unplaced ({{ same }});
    {%- endfor %}
    WHILE EXISTS (SELECT FROM waiting WHERE is_decidable)
    LOOP
        round := round + 1;
        {{ take_turns() }}
        CONTINUE WHEN taken = 0;
        {{ decide_turns() }}
        -- At once, not at the end: what arrives later must not be known to it.
        {{ take_again_what_found_none() }}
        WHILE EXISTS (SELECT FROM retry)
        LOOP
            {{ take_next_of_each_loan() }}
            {{ decide_turns() }}
        END LOOP;
    END LOOP;
    INSERT INTO waiting SELECT * FROM unplaced;
    LOOP
        {{ attach_by_row_or_reference() }}
        GET DIAGNOSTICS added = ROW_COUNT;
        EXIT WHEN added = 0;
        keyed := keyed + added;
    END LOOP;
    {{ key_the_rest_provisionally() }}
    GET DIAGNOSTICS added = ROW_COUNT;
    {{ hand_over_questions() }}
    RETURN keyed + added;
END
$function$
{% endmacro %}


{# What may be decided in this round, into `turn`. #}
{% macro take_turns() %}
        {{ empty_turn() }}
        WITH due AS (
            DELETE FROM waiting w
            WHERE w.is_decidable AND w.level <= round
                {%- for same in ('loan', 'ref', 'order', 'umrn', 'row') %}
                AND NOT EXISTS (SELECT FROM waiting b WHERE b.place = w.before_of_{{ same }})
                {%- endfor %}
                -- A correction that moves a row from one loan to another has a say in both.
                AND NOT EXISTS (
                    SELECT FROM waiting b
                    WHERE b.old_loan = w.loan_external_id AND b.is_decidable AND b.place < w.place
                )
                AND NOT EXISTS (
                    SELECT FROM waiting b
                    WHERE b.loan_external_id = w.old_loan AND b.is_decidable AND b.place < w.place
                )
            RETURNING w.*
        )
        INSERT INTO turn SELECT * FROM due;
        GET DIAGNOSTICS taken = ROW_COUNT;
{% endmacro %}

{# Of a loan with two sources that report it: whether its reports have come out of the order of their days,
   for then a report may be late too. #}
{% macro decide_turns() %}
        UPDATE turn SET is_late = true
        WHERE match_group IS NOT NULL AND reports AND replaces_id IS NULL AND EXISTS (
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" k
            WHERE k.source_lender = turn.source_lender AND k.loan_external_id = turn.loan_external_id
                AND k.payment_date > turn.payment_date AND k.raw_table = turn.raw_table
                AND k.reports AND k.rule <> 'provisional'
        );
        UPDATE turn SET is_out_of_order = true
        WHERE match_group IS NOT NULL AND (is_late OR EXISTS (
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" k
            WHERE k.source_lender = turn.source_lender AND k.loan_external_id = turn.loan_external_id
                AND k.out_of_order
        ));
        {{ decide_reports() }}
        GET DIAGNOSTICS added = ROW_COUNT;
        keyed := keyed + added;
        {{ decide_takings_back() }}
        GET DIAGNOSTICS added = ROW_COUNT;
        keyed := keyed + added;
{% endmacro %}

{# What found no payment before, and may be of one that was decided in this round. #}
{% macro take_again_what_found_none() %}
        IF EXISTS (SELECT FROM unplaced) THEN
            WITH again AS (
                DELETE FROM unplaced WHERE place IN (
                    SELECT u.place
                    FROM turn t JOIN unplaced u
                        ON u.loan_external_id = t.loan_external_id AND u.source_lender = t.source_lender
                    WHERE t.reports
                        AND u.payment_date BETWEEN t.payment_date - {{ return_days() }} AND t.payment_date + {{ return_days() }}
                    {%- for same in ('alike', 'order_ref', 'umrn') %}
                    UNION
                    SELECT u.place FROM turn t JOIN unplaced u ON u.{{ same }} = t.{{ same }}
                    WHERE {{ 'u.amount = t.amount AND t.reports' if same == 'umrn' else 'u.place <> t.place' }}
                    {%- endfor %}
                ) RETURNING *
            )
            INSERT INTO retry SELECT * FROM again;
        END IF;
{% endmacro %}

{% macro take_next_of_each_loan() %}
        {{ empty_turn() }}
        WITH next AS (
            SELECT DISTINCT ON (source_lender, coalesce(loan_external_id, raw_id::text)) place FROM retry
            ORDER BY source_lender, coalesce(loan_external_id, raw_id::text), place
        ), taken_next AS (
            DELETE FROM retry WHERE place IN (SELECT place FROM next) RETURNING *
        )
        INSERT INTO turn SELECT * FROM taken_next;
        GET DIAGNOSTICS taken = ROW_COUNT;
{% endmacro %}

{# TRUNCATE has all plans made again, which takes longer than deciding a few observations; rows that are only
   deleted are read again each time. #}
{% macro empty_turn() %}
        IF taken > 500 THEN
            TRUNCATE turn;
        ELSE
            DELETE FROM turn;
        END IF;
{% endmacro %}


{# What is left: a row that was corrected follows its correction. What neither reports a payment nor takes one
   back belongs to the row that it corrects, or to its reference. Run until nothing is left to attach: what
   attaches by its reference may lend its key to a row that it replaces. #}
{% macro attach_by_row_or_reference() %}
        WITH attached AS (
            DELETE FROM waiting w
            USING (
                SELECT loose.place, by_ref.source_key AS ref_key, by_row.source_key AS row_key
                FROM waiting loose
                LEFT JOIN LATERAL (
                    {{ key_of_row('loose') }}
                ) by_row ON NOT loose.is_decidable OR by_row.raw_id > loose.raw_id
                LEFT JOIN LATERAL (
                    {{ key_of_ref('loose') }}
                ) by_ref ON NOT loose.is_decidable AND by_row.source_key IS NULL
            ) found
            WHERE found.place = w.place AND coalesce(found.row_key, found.ref_key) IS NOT NULL
            RETURNING w.*, found.ref_key, found.row_key
        )
        INSERT INTO "CORE"."CORE_PAYMENT_KEY" ({{ key_columns() }}, because)
        SELECT raw_id, raw_table, replaces_id, coalesce(row_key, ref_key),
            CASE WHEN row_key IS NOT NULL THEN 'replaces' ELSE 'same_ref' END, null,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch,
            outcome, file_id, presentation_date, presents, order_ref, utr, umrn, by_mandate, false,
            CASE WHEN row_key IS NOT NULL THEN 'it corrects a row of that payment'
                ELSE 'its reference is that of the payment' END
        FROM attached;
{% endmacro %}


{# What is left waits under a provisional key, which can never be posted. #}
{% macro key_the_rest_provisionally() %}
    INSERT INTO "CORE"."CORE_PAYMENT_KEY" ({{ key_columns() }}, because)
    SELECT raw_id, raw_table, replaces_id,
        md5('provisional:' || coalesce(payment_ref, coalesce(replaces_id, raw_id)::text)), 'provisional', null,
        payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch,
        outcome, file_id, presentation_date, presents, order_ref, utr, umrn, by_mandate, false,
        CASE WHEN cardinality(fits) > 1 THEN 'it may take back ' || array_to_string(fits, ' or ') END
    FROM waiting w
    WHERE NOT EXISTS (SELECT FROM "CORE"."CORE_PAYMENT_KEY" k WHERE k.raw_id = w.raw_id);
{% endmacro %}


{# Keys that an earlier version made lack what tells payments apart; BASE knows it. #}
{% macro fill_in_old_keys() %}
    IF EXISTS (SELECT FROM "CORE"."CORE_PAYMENT_KEY" WHERE outcome IS NULL) THEN
        UPDATE "CORE"."CORE_PAYMENT_KEY" k
        SET outcome = o.outcome, file_id = o.file_id, presentation_date = o.presentation_date,
            presents = o.presentation_date IS NOT NULL OR coalesce((
                SELECT f.layout = ANY (s.presenting_layouts) FROM "CORE"."CORE_FILE_LOG" f, "CORE"."CORE_SOURCE" s
                WHERE f.id = o.file_id AND s.raw_table = o.raw_table
            ), false),
            payment_ref = o.payment_ref, order_ref = o.order_ref, utr = o.utr, umrn = o.umrn,
            by_mandate = o.by_mandate
        FROM "CORE"."CORE_PAYMENT_KEY" old
        CROSS JOIN LATERAL {{ observation_of('old') }} o
        WHERE old.outcome IS NULL AND k.raw_id = old.raw_id AND k.batch = old.batch;
        UPDATE "CORE"."CORE_PAYMENT_KEY" SET outcome = 'unknown' WHERE outcome IS NULL;
    END IF;
{% endmacro %}
