{#
    What is looked at again: earlier observations that may have become reports of a payment, and the
    rows behind keys.

    What belongs here: finding them, and look-ups that several parts of the keys share. What does not:
    deciding (decide, taking_back).
#}
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


{# The latest proper key of a payment that bears a row's reference, or the order's. #}
{% macro key_of_ref(row) -%}
    SELECT k.source_key FROM (
                        SELECT k.source_key, k.raw_id FROM "CORE"."CORE_PAYMENT_KEY" k
                        WHERE "CORE".alike(k.payment_ref) = {{ row }}.alike AND k.payment_ref = {{ row }}.payment_ref
                            AND k.rule <> 'provisional'
                            AND coalesce(k.loan_external_id = {{ row }}.loan_external_id, true)
                        UNION ALL
                        SELECT k.source_key, k.raw_id FROM "CORE"."CORE_PAYMENT_KEY" k
                        WHERE k.order_ref = {{ row }}.order_ref AND k.rule <> 'provisional'
                    ) k
                    ORDER BY k.raw_id DESC LIMIT 1
{%- endmacro %}


{# The proper key of the row that a row stands for, or of the last one that stands for it. #}
{% macro key_of_row(row) -%}
    SELECT k.source_key, k.raw_id FROM (
                        SELECT raw_id, source_key FROM "CORE"."CORE_PAYMENT_KEY"
                        WHERE raw_id = {{ chain(row) }} AND rule <> 'provisional'
                        UNION ALL
                        SELECT raw_id, source_key FROM "CORE"."CORE_PAYMENT_KEY"
                        WHERE replaces_id = {{ chain(row) }} AND rule <> 'provisional'
                    ) k
                    ORDER BY k.raw_id DESC LIMIT 1
{%- endmacro %}


{# Whether no row that arrived before `row` has replaced this one. #}
{% macro stands(key, row) -%}
    (NOT {{ is_replaced(key) }} AND NOT EXISTS (
        SELECT FROM waiting later
        WHERE later.replaces_id = {{ chain(key) }} AND later.raw_id > {{ key }}.raw_id
            AND later.place < {{ row }}.place
    ))
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
            JOIN "CORE"."CORE_PAYMENT_KEY" k
                ON "CORE".alike(k.payment_ref) = "CORE".alike(a.payment_ref) AND k.payment_ref = a.payment_ref
            WHERE k.rule = 'provisional'
            UNION
            SELECT k.raw_id, k.raw_table FROM arrival a
            JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.order_ref = a.order_ref
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
            JOIN "CORE"."CORE_PAYMENT_KEY" k
                ON "CORE".alike(k.payment_ref) = "CORE".alike(m.payment_ref) AND k.payment_ref = m.payment_ref
            WHERE k.rule = 'provisional' AND k.reports AND k.loan_external_id IS NULL
            UNION
            SELECT k.raw_id, k.raw_table FROM "CORE"."CORE_REFOLD" r
            JOIN "CORE"."CORE_PAYMENT_KEY" k USING (source_key)
            WHERE k.rule = 'provisional' AND r.source_key = ANY (refolded)
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
    Adds the returns, refunds and bounces that found no payment, where one arrived that they can be
    of: what takes money back may land before its payment.
#}
{% macro recall_takings_back() %}
    INSERT INTO arrival
    SELECT observation.*
    FROM (
        SELECT DISTINCT k.raw_id, k.raw_table
        FROM arrival a
        JOIN "CORE"."CORE_PAYMENT_KEY" k
            ON k.source_lender = a.source_lender AND k.loan_external_id = a.loan_external_id
            AND k.payment_date BETWEEN a.payment_date - {{ report_days() }} AND a.payment_date + {{ return_days() }}
        WHERE a.is_success AND k.amount <= a.amount AND k.rule = 'provisional' AND NOT k.reports
            AND k.outcome IN ('refund', 'late_return', 'return', 'reject', 'failed')
            AND NOT EXISTS (SELECT FROM arrival b WHERE b.raw_id = k.raw_id)
            AND {{ is_current('k') }}
    ) earlier
    CROSS JOIN LATERAL {{ observation_of('earlier') }} observation;
{% endmacro %}
