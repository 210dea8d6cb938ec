{#
    Decides the postable observations whose turn it is. The rules, in this order:

    same_ref         its reference already names a payment
    replaces         it stands for a row that already belongs to a payment, and does not leave it
    same_money       another source of its match group reported the same loan and amount within
                     match_days; exactly one such payment lacks a report of this source, bears
                     no other reference of this namespace, was not ruled out by a person and did
                     not have its money given back
    new              no payment has this loan, amount and day, by its key or by one of its reports
    proven_another   every payment that has bears another reference of the same namespace
    held             equal money that nothing tells apart, also where the two reports are further
                     apart than match_days but not than reports can be, or a correction that leaves
                     its payment: the next key, and a person decides
#}
{% macro key_one_round() %}
        WITH turn AS (
            DELETE FROM waiting w
            WHERE w.is_postable
                AND NOT EXISTS (SELECT FROM waiting b WHERE b.place = w.before_of_money)
                AND NOT EXISTS (SELECT FROM waiting b WHERE b.place = w.before_of_ref)
                AND NOT EXISTS (SELECT FROM waiting b WHERE b.place = w.before_of_row)
            RETURNING *
        ), evidence AS (
            SELECT t.*,
                by_ref.source_key AS ref_key,
                by_row.source_key AS row_key,
                coalesce({{ leaves('by_row', 't') }}, false) AS leaves,
                coalesce(money.keys, '{}') AS money_keys,
                money.far_key,
                twins.last_n,
                twins.is_taken,
                twins.all_bear_another_ref,
                twins.first_key
            FROM turn t
            LEFT JOIN LATERAL (
                {{ key_of_ref('t') }}
            ) by_ref ON true
            LEFT JOIN LATERAL (
                {{ key_of_row('t') }}
            ) by_row ON true
            LEFT JOIN LATERAL (
                {{ keys_of_same_money('t') }}
            ) money ON true
            LEFT JOIN LATERAL (
                SELECT max(k.occurrence) AS last_n,
                    coalesce(
                        min(k.source_key) FILTER (WHERE k.occurrence = 0), min(k.source_key)
                    ) AS first_key,
                    count(*) > 0 AS is_taken,
                    bool_and(EXISTS (
                        SELECT FROM "CORE"."CORE_PAYMENT_KEY" other
                        WHERE other.source_key = k.source_key AND other.rule <> 'provisional'
                            AND {{ namespace('other.payment_ref') }} = {{ namespace('t.payment_ref') }}
                    )) AS all_bear_another_ref
                FROM "CORE"."CORE_PAYMENT_KEY" k
                WHERE k.source_lender = t.source_lender AND k.loan_external_id = t.loan_external_id
                    AND k.amount = t.amount AND k.payment_date = t.payment_date
                    AND k.rule <> 'provisional'
                    AND (k.occurrence IS NOT NULL OR k.reports AND {{ stands('k', 't') }})
            ) twins ON true
        ), judged AS (
            SELECT *,
                CASE
                    WHEN ref_key IS NOT NULL THEN 'same_ref'
                    WHEN row_key IS NOT NULL AND NOT leaves THEN 'replaces'
                    WHEN cardinality(money_keys) = 1 AND NOT EXISTS (
                        SELECT FROM "CORE"."CORE_HOLD" ruling
                        WHERE ruling.source_key = money_keys[1]
                            AND ruling.decision IN ('same_payment', 'not_a_repayment')
                    ) AND NOT EXISTS ({{ given_back('money_keys[1]') }}) THEN 'same_money'
                    WHEN cardinality(money_keys) > 0 OR far_key IS NOT NULL OR leaves THEN 'held'
                    WHEN NOT is_taken THEN 'new'
                    WHEN all_bear_another_ref THEN 'proven_another'
                    ELSE 'held'
                END AS rule,
                coalesce(last_n + 1, 0) AS n
            FROM evidence
        ), decided AS (
            SELECT *,
                CASE rule
                    WHEN 'same_ref' THEN ref_key
                    WHEN 'replaces' THEN row_key
                    WHEN 'same_money' THEN money_keys[1]
                    ELSE {{ source_key('source_lender', 'loan_external_id', 'payment_date', 'amount', 'n') }}
                END AS source_key
            FROM judged
        ), held AS (
            INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
            SELECT source_key, 'possible_duplicate',
                format(
                    CASE
                        WHEN leaves THEN 'corrected: the row had the reference of payment %s, which is of other money'
                        ELSE 'equal to payment %s, and nothing proves that it is another'
                    END, equal_to.other_key
                ),
                jsonb_build_object('loan', loan_external_id, 'amount', amount, 'date', payment_date,
                    'other_key', equal_to.other_key)
            FROM decided
            CROSS JOIN LATERAL (
                SELECT CASE WHEN leaves THEN row_key ELSE coalesce(first_key, money_keys[1], far_key) END AS other_key
            ) equal_to
            WHERE rule = 'held'
            ON CONFLICT DO NOTHING
        )
        INSERT INTO "CORE"."CORE_PAYMENT_KEY" (raw_id, raw_table, replaces_id, source_key, rule, occurrence,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, batch)
        SELECT raw_id, raw_table, replaces_id, source_key, rule,
            CASE WHEN rule IN ('new', 'proven_another', 'held') THEN n END,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch
        FROM decided;
{% endmacro %}


{# The proper key of the payment that bears a row's reference. #}
{% macro key_of_ref(row) -%}
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.payment_ref = {{ row }}.payment_ref AND k.rule <> 'provisional'
    LIMIT 1
{%- endmacro %}


{# The proper key of the row that a row stands for, or of the last one that stands for it. #}
{% macro key_of_row(row) -%}
    SELECT k.source_key, k.rule, k.payment_ref FROM (
        SELECT raw_id, source_key, rule, payment_ref FROM "CORE"."CORE_PAYMENT_KEY"
        WHERE raw_id = {{ row }}.replaces_id AND rule <> 'provisional'
        UNION ALL
        SELECT raw_id, source_key, rule, payment_ref FROM "CORE"."CORE_PAYMENT_KEY"
        WHERE replaces_id = {{ chain(row) }} AND rule <> 'provisional'
    ) k
    ORDER BY k.raw_id DESC
    LIMIT 1
{%- endmacro %}


{#
    Whether a correction leaves the payment of the row that it stands for: that was the payment's by
    its reference alone, the correction has another, and its money is not the payment's. So money that
    a reference used again had swallowed comes to light, and no payment loses a row of its own.
#}
{% macro leaves(corrected, row) -%}
    {{ corrected }}.rule = 'same_ref' AND {{ corrected }}.payment_ref <> {{ row }}.payment_ref
                    AND EXISTS (
                        SELECT FROM "CORE"."CORE_PAYMENT_KEY" own
                        WHERE own.source_key = {{ corrected }}.source_key AND own.occurrence IS NOT NULL
                            AND (
                                own.loan_external_id <> {{ row }}.loan_external_id
                                OR own.amount <> {{ row }}.amount
                                OR abs(own.payment_date - {{ row }}.payment_date) > {{ report_days() }}
                            )
                    )
{%- endmacro %}


{#
    The payments that other sources of the match group reported with this loan and amount, and
    this source did not: those within match_days, and one that is further away but not further than
    two reports of one payment can be. A row that was replaced, or withdrawn since, reports nothing.
#}
{% macro keys_of_same_money(row) -%}
    SELECT array_agg(DISTINCT k.source_key)
            FILTER (WHERE abs(k.payment_date - {{ row }}.payment_date) <= mine.match_days) AS keys,
        min(k.source_key)
            FILTER (WHERE abs(k.payment_date - {{ row }}.payment_date) > mine.match_days) AS far_key
    FROM "CORE"."CORE_MATCH_GROUP" mine
    JOIN "CORE"."CORE_MATCH_GROUP" theirs
        ON theirs.match_group = mine.match_group AND theirs.raw_table <> mine.raw_table
    JOIN "CORE"."CORE_PAYMENT_KEY" k ON k.raw_table = theirs.raw_table
    WHERE mine.raw_table = {{ row }}.raw_table
        AND k.source_lender = {{ row }}.source_lender
        AND k.loan_external_id = {{ row }}.loan_external_id
        AND k.amount = {{ row }}.amount
        AND abs(k.payment_date - {{ row }}.payment_date) <= greatest(mine.match_days, {{ report_days() }})
        AND k.rule <> 'provisional' AND k.reports AND {{ stands('k', row) }}
        AND NOT EXISTS ({{ report_like('k.source_key', row) }})
        -- Nor one that a person ruled the same: its reports are of that payment.
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_HOLD" ruling
            WHERE ruling.facts ->> 'other_key' = k.source_key AND ruling.decision = 'same_payment'
                AND EXISTS ({{ report_like('ruling.source_key', row) }})
        )
{%- endmacro %}

{# The observations that a payment's money was given back: what is reported later may be the money
   that was paid instead. Those that arrived with it are keyed after it, by their reference. #}
{% macro given_back(source_key) -%}
                        SELECT 1 FROM "CORE"."CORE_PAYMENT_KEY" back
                        CROSS JOIN LATERAL {{ observation_of('back') }} observation
                        WHERE back.source_key = {{ source_key }} AND back.rule <> 'provisional'
                            AND NOT back.reports AND observation.outcome IN ('refund', 'late_return')
                        UNION ALL
                        SELECT 1 FROM "CORE"."CORE_PAYMENT_KEY" named
                        JOIN waiting back ON back.payment_ref = named.payment_ref
                        WHERE named.source_key = {{ source_key }} AND named.rule <> 'provisional'
                            AND back.outcome IN ('refund', 'late_return')
{%- endmacro %}

{# The reports of a payment that are of a row's source, or bear another reference of its namespace. #}
{% macro report_like(source_key, row) -%}
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" known
            WHERE known.source_key = {{ source_key }} AND known.rule <> 'provisional'
                AND (
                    known.raw_table = {{ row }}.raw_table AND known.reports AND {{ stands('known', row) }}
                    OR {{ namespace('known.payment_ref') }} = {{ namespace(row ~ '.payment_ref') }}
                )
{%- endmacro %}

{# Whether no row that arrived before `row` has replaced this one. #}
{% macro stands(key, row) -%}
    NOT EXISTS (
        SELECT FROM "CORE"."CORE_PAYMENT_KEY" later
        WHERE later.replaces_id = {{ chain(key) }} AND later.raw_id > {{ key }}.raw_id
    ) AND NOT EXISTS (
        SELECT FROM waiting later
        WHERE later.replaces_id = {{ chain(key) }} AND later.raw_id > {{ key }}.raw_id
            AND later.place < {{ row }}.place
    )
{%- endmacro %}
