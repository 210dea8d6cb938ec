{#
    What becomes of a payment whose loan a person corrects. No report of it names a loan: only then can the
    word be changed.

    never sent    its key is retired: its rows are decided again, as if the right loan had been named at once.
                  The former key stays taken, and what was asked of it is asked of the new one
    sent          it keeps its key; so does one that may have been sent before this database was restored. Its rows
                  bear the right loan, so that later reports find it, and beside it the one that the key was made of

    What belongs here: both. What does not: the person's word (`exceptions.naming`), deciding (decide).
#}
{% macro take_up_corrected_loans() %}
    DROP TABLE IF EXISTS corrected;
    CREATE TEMP TABLE corrected ON COMMIT DROP AS
    SELECT k.source_key, k.raw_id, m.loan_external_id AS loan, {{ was_sent('k.source_key') }} AS was_sent
    FROM "CORE"."CORE_PAYMENT_KEY" k
    CROSS JOIN LATERAL {{ observation_of('k') }} o
    JOIN "CORE"."CORE_LOAN_MAPPING" m
        ON m.payment_ref = k.payment_ref OR m.payment_ref = k.order_ref OR m.raw_id = {{ chain('k') }}
    WHERE k.source_key = ANY (refolded) AND k.rule <> 'provisional'
        AND o.loan_external_id IS NULL AND k.loan_external_id <> m.loan_external_id;
    UPDATE "CORE"."CORE_PAYMENT_KEY" k SET loan_external_id = c.loan, made_of_loan = coalesce(k.made_of_loan, k.loan_external_id)
    FROM corrected c WHERE k.raw_id = c.raw_id AND k.source_key = c.source_key AND c.was_sent;
    UPDATE "CORE"."CORE_PAYMENT_KEY" k SET rule = 'provisional'
    WHERE k.source_key IN (SELECT source_key FROM corrected WHERE NOT was_sent) AND k.rule <> 'provisional';
{% endmacro %}

{# A posting of the system that ran before has no attempt; one that a restore forgot has neither. Under its
   key it is found in Fineract, which takes no second one. #}
{% macro was_sent(source_key) -%}
    (EXISTS (SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" a WHERE a.source_key = {{ source_key }})
        OR EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p WHERE p.source_key = {{ source_key }})
        OR EXISTS (SELECT FROM "CORE"."CORE_LEDGER_IDENTITY" i WHERE i.first_course <> "CORE".course()))
{%- endmacro %}


{# What was held, or ruled on, under a retired key, is so under the key that its rows have now. Facts of the
   former loan make it a question again. So does a loan that a report brings. A payment that other reports tell
   of as well takes over what is open alone: what was ruled was not said of it. #}
{% macro hand_over_questions() %}
    WITH heir AS (
        SELECT DISTINCT c.source_key AS former_key, k.source_key
        FROM corrected c JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.raw_id = c.raw_id AND k.rule <> 'provisional'
        WHERE NOT c.was_sent
    ), same AS (
        UPDATE "CORE"."CORE_EXCEPTION" e SET facts = e.facts || jsonb_build_object('other_key', heir.source_key)
        FROM heir WHERE e.facts ->> 'other_key' = heir.former_key
    )
    INSERT INTO "CORE"."CORE_EXCEPTION" (
        source_key, kind, holds, facts, words, detail, raised_at, decision, closed_at, closed_by, closed_why
    )
    SELECT heir.source_key, e.kind, e.holds, e.facts, e.words, e.detail, e.raised_at, e.decision, e.closed_at,
        e.closed_by, e.closed_why
    FROM heir JOIN "CORE"."CORE_EXCEPTION" e ON e.source_key = heir.former_key
    WHERE e.holds AND e.kind <> 'loan_corrected' AND e.decision IS DISTINCT FROM 'gone'
        AND (e.decision IS NULL OR NOT EXISTS (
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" own
            WHERE own.source_key = heir.source_key AND own.rule <> 'provisional'
                AND own.raw_id NOT IN (SELECT raw_id FROM corrected)
        ))
    ORDER BY e.id
    ON CONFLICT DO NOTHING;
    -- What a person dealt with elsewhere, for want of a loan, is not posted unasked because a report names one.
    INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, holds, words, facts)
    SELECT DISTINCT ON (k.source_key) k.source_key, 'by_hand', true,
        format('it named no loan, and %s dealt with it elsewhere: %s', e.closed_by, e.closed_why),
        jsonb_build_object('loan', k.loan_external_id, 'amount', k.amount, 'date', k.payment_date)
    FROM "CORE"."CORE_PAYMENT_KEY" k
    JOIN "CORE"."CORE_PAYMENT_KEY" nameless ON nameless.raw_id = k.raw_id AND nameless.rule = 'provisional'
    JOIN "CORE"."CORE_EXCEPTION" e
        ON e.source_key = nameless.source_key AND e.kind = 'loan_unknown' AND e.decision = 'leave'
    WHERE k.batch = this_batch AND k.rule <> 'provisional' AND k.reports
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_LOAN_MAPPING" m
            WHERE (m.payment_ref IN (k.payment_ref, k.order_ref) OR m.raw_id = {{ chain('k') }})
                AND m.mapped_at > e.closed_at
        )
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
            WHERE p.source_key = k.source_key AND p.status = 'success'
        )
    ORDER BY k.source_key, e.id DESC
    ON CONFLICT DO NOTHING;
    UPDATE "CORE"."CORE_EXCEPTION"
    SET decision = 'gone', closed_by = 'CORE', closed_why = 'its loan was corrected, and it has another key'
    WHERE closed_at IS NULL AND source_key IN (SELECT source_key FROM corrected WHERE NOT was_sent);
{% endmacro %}
