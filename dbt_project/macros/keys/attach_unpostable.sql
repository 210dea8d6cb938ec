{#
    Observations that cannot be posted: which payment they speak of, where it has a proper key.

    What belongs here: failures, refunds, returns and withdrawals, and how a return without a
    reference finds its payment. What does not: the rules for payments (key_one_round).
#}

{# Days after a payment within which a return without a reference is taken for its return: less
   than the month between two equal instalments. #}
{% macro return_days() -%} 21 {%- endmacro %}

{# Whether an observation reports that money was given back, and not of which payment. #}
{% macro is_loose_return(row) -%}
    {{ row }}.payment_ref IS NULL AND {{ row }}.outcome IN ('refund', 'late_return')
{%- endmacro %}


{#
    Attaches what names its payment, by a reference or by the row that it replaces. Run until
    nothing is left to attach: what attaches by its reference may lend its key to a row that it
    replaces.
#}
{% macro attach_unpostable_observations() %}
        WITH attached AS (
            DELETE FROM waiting w
            USING (
                SELECT loose.place, by_ref.source_key AS ref_key, by_row.source_key AS row_key
                FROM waiting loose
                LEFT JOIN LATERAL (
                    {{ key_of_ref('loose') }}
                ) by_ref ON true
                LEFT JOIN LATERAL (
                    {{ key_of_row('loose') }}
                ) by_row ON true
            ) found
            WHERE found.place = w.place AND coalesce(found.ref_key, found.row_key) IS NOT NULL
            RETURNING w.*, found.ref_key, found.row_key
        )
        INSERT INTO "CORE"."CORE_PAYMENT_KEY" (raw_id, raw_table, replaces_id, source_key, rule,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, batch)
        SELECT raw_id, raw_table, replaces_id, coalesce(ref_key, row_key),
            CASE WHEN ref_key IS NOT NULL THEN 'same_ref' ELSE 'replaces' END,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch
        FROM attached;
{% endmacro %}


{#
    Attaches a return without a reference to the one payment that it can be of; with none or
    several it stays provisional and becomes an exception for a person. One return of a loan at a
    time, because what is returned once is no candidate for the next.
#}
{% macro attach_loose_returns() %}
        WITH found AS (
            SELECT DISTINCT ON (w.source_lender, w.loan_external_id) w.place, of_return.keys
            FROM waiting w
            CROSS JOIN LATERAL (
                {{ payments_of_return('w') }}
            ) of_return
            WHERE {{ is_loose_return('w') }} AND cardinality(of_return.keys) = 1
            ORDER BY w.source_lender, w.loan_external_id, w.place
        ), attached AS (
            DELETE FROM waiting w USING found WHERE found.place = w.place
            RETURNING w.*, found.keys
        )
        INSERT INTO "CORE"."CORE_PAYMENT_KEY" (raw_id, raw_table, replaces_id, source_key, rule,
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, batch)
        SELECT raw_id, raw_table, replaces_id, keys[1], 'same_money',
            payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch
        FROM attached;
{% endmacro %}


{#
    The payments of the loan, some days before at most, that a return can be of: those of its
    amount, or for a refund, where there are none, those of more. A source that does not name its
    refunds reports one for a payment, not two.
#}
{% macro payments_of_return(row) -%}
    SELECT CASE
        WHEN count(*) FILTER (WHERE k.amount = {{ row }}.amount) > 0
            THEN array_agg(DISTINCT k.source_key) FILTER (WHERE k.amount = {{ row }}.amount)
        ELSE array_agg(DISTINCT k.source_key)
    END AS keys
    FROM "CORE"."CORE_PAYMENT_KEY" k
    WHERE k.source_lender = {{ row }}.source_lender
        AND k.loan_external_id = {{ row }}.loan_external_id
        AND (k.amount = {{ row }}.amount OR k.amount > {{ row }}.amount AND {{ row }}.outcome = 'refund')
        AND k.payment_date BETWEEN {{ row }}.payment_date - {{ return_days() }} AND {{ row }}.payment_date
        AND k.rule <> 'provisional' AND k.reports AND {{ stands('k', row) }}
        AND ({{ row }}.refund_id IS NOT NULL OR NOT EXISTS (
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" back
            CROSS JOIN LATERAL {{ observation_of('back') }} observation
            WHERE back.source_key = k.source_key AND back.raw_table = {{ row }}.raw_table
                AND back.rule <> 'provisional' AND NOT back.reports AND {{ is_loose_return('observation') }}
        ))
{%- endmacro %}


{# What is left waits under a provisional key, which can never be posted. #}
{% macro key_the_rest_provisionally() %}
    INSERT INTO "CORE"."CORE_PAYMENT_KEY" (raw_id, raw_table, replaces_id, source_key, rule,
        payment_ref, source_lender, loan_external_id, amount, payment_date, reports, batch)
    SELECT raw_id, raw_table, replaces_id,
        md5('provisional:' || coalesce(payment_ref, coalesce(replaces_id, raw_id)::text)), 'provisional',
        payment_ref, source_lender, loan_external_id, amount, payment_date, reports, this_batch
    FROM waiting w
    WHERE NOT EXISTS (SELECT FROM "CORE"."CORE_PAYMENT_KEY" k WHERE k.raw_id = w.raw_id);
{% endmacro %}
