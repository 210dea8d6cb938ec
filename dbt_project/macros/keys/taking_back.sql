{#
    What takes money back: which payment a return, refund or bounce is of.

    What belongs here: finding that payment. What does not: what follows for it (core_transaction_data, the
    feed). A report that takes back is decided in its turn, among the reports of its loan.

    by its row         it corrects a row of a payment
    by its reference   a payment bears it, the loan agrees or is not named, and the amount fits
    without one        loan, UMRN (where stated) and amount fit exactly one payment, in time
    contradicts        a bank's bounce of what the lender reports as paid and the bank does not

    What fits none or several waits under a provisional key. A return or refund becomes an exception, and so
    does a bounce that fits several; a bounce that fits none says nothing.
#}

{# Days after a payment within which it can be returned. #}
{% macro return_days() -%} 21 {%- endmacro %}

{% macro is_bounce(row) -%} {{ row }}.outcome IN ('return', 'reject', 'failed') {%- endmacro %}


{% macro decide_takings_back() %}
        UPDATE turn t SET fits = ({{ fitting_payments() }}) WHERE NOT t.reports;
        WITH back AS (
            SELECT *, CASE WHEN cardinality(fits) = 1 THEN fits[1] END AS fitting_key FROM turn WHERE NOT reports
        ), found AS (
            SELECT t.place, t.replaces_id IS NOT NULL AND by_row.source_key IS NOT NULL AS is_by_row,
                coalesce(by_row.source_key, again.source_key, t.fitting_key, denied.source_key) AS source_key,
                by_row.source_key IS NULL AND again.source_key IS NULL AND t.fitting_key IS NULL AS denies
            FROM back t
            LEFT JOIN LATERAL (
                {{ key_of_row('t') }}
            ) by_row ON true
            LEFT JOIN LATERAL (
                {{ key_of_same_taking_back() }}
            ) again ON by_row.source_key IS NULL
            LEFT JOIN LATERAL (
                {{ key_of_denied_payment() }}
            ) denied ON by_row.source_key IS NULL AND t.fitting_key IS NULL
                AND {{ is_bounce('t') }} AND t.channel = 'NACH' AND t.match_group IS NOT NULL
        ), later AS (
            INSERT INTO unplaced SELECT t.* FROM turn t JOIN found ON found.place = t.place
            WHERE found.source_key IS NULL
        )
        INSERT INTO "CORE"."CORE_PAYMENT_KEY" ({{ key_columns() }}, because)
        SELECT t.raw_id, t.raw_table, t.replaces_id, found.source_key,
            CASE WHEN is_by_row THEN 'replaces' WHEN t.payment_ref IS NULL OR denies THEN 'same_money' ELSE 'same_ref' END,
            null, t.payment_ref, t.source_lender, t.loan_external_id, t.amount, t.payment_date, t.reports,
            this_batch, t.outcome, t.file_id, t.presentation_date, t.presents, t.order_ref, t.utr, t.umrn,
            t.by_mandate, false,
            CASE
                WHEN is_by_row THEN 'it corrects a row of that payment'
                WHEN denies THEN 'the bank says not paid, the lender says paid'
                WHEN t.payment_ref IS NULL THEN 'loan and amount fit this payment alone'
                ELSE 'its reference is that of the payment'
            END
        FROM back t JOIN found ON found.place = t.place
        WHERE found.source_key IS NOT NULL;
{% endmacro %}


{# The payment of an equal row in another file: the same return, reported again. #}
{% macro key_of_same_taking_back() -%}
    SELECT k.source_key FROM "CORE"."CORE_PAYMENT_KEY" k
                WHERE k.source_lender = t.source_lender AND k.loan_external_id = t.loan_external_id
                    AND k.payment_date = t.payment_date AND k.raw_table = t.raw_table AND k.file_id <> t.file_id
                    AND k.rule <> 'provisional' AND NOT k.reports AND k.outcome = t.outcome
                    AND (k.amount, k.presentation_date, k.payment_ref, k.utr, k.umrn)
                        IS NOT DISTINCT FROM (t.amount, t.presentation_date, t.payment_ref, t.utr, t.umrn)
                ORDER BY k.raw_id LIMIT 1
{%- endmacro %}


{# The payments that t can be of: by its reference, those near in time where several bear it, or where t
   has none by loan, UMRN and amount.
   One that a row of this source has taken back already is left out, unless it is the only one. #}
{% macro fitting_payments() -%}
    SELECT array_agg(DISTINCT source_key) FROM (
                    SELECT k.source_key, k.is_taken, bool_and(k.is_taken) OVER () AS are_all_taken FROM (
                        SELECT *, bool_or(is_near) OVER () AS is_any_near FROM (
                            {{ payments_of_reference() }}
                            UNION
                            {{ payments_of_money() }}
                        ) any_day
                    ) k
                    WHERE k.is_near OR NOT k.is_any_near
                ) fits
                WHERE are_all_taken AND t.payment_ref IS NOT NULL OR NOT is_taken
{%- endmacro %}

{% macro payments_of_reference() -%}
    SELECT r.source_key, {{ is_taken_back_by('t', 'r') }} AS is_taken,
                                "CORE".is_issued(t.payment_ref) OR t.payment_date <= r.payment_date
                                + CASE WHEN {{ is_bounce('t') }} THEN {{ report_days() }} ELSE {{ return_days() }} END
                                AS is_near
                        FROM "CORE"."CORE_PAYMENT_KEY" r
                        WHERE r.payment_ref IN (t.payment_ref, t.order_ref)
                            AND "CORE".alike(r.payment_ref) IN (t.alike, "CORE".alike(t.order_ref))
                            AND r.reports AND r.rule <> 'provisional'
                            AND coalesce(r.loan_external_id = t.loan_external_id, true)
                            AND (
                                "CORE".is_issued(t.payment_ref)
                                OR t.amount = r.amount AND t.payment_date >= r.payment_date - {{ report_days() }}
                            )
{%- endmacro %}

{% macro payments_of_money() -%}
    SELECT r.source_key, {{ is_taken_back_by('t', 'r') }}, true
                        FROM "CORE"."CORE_PAYMENT_KEY" r
                        WHERE t.payment_ref IS NULL
                            AND r.source_lender = t.source_lender AND r.loan_external_id = t.loan_external_id
                            AND coalesce(r.umrn = t.umrn, true)
                            AND r.payment_date BETWEEN t.payment_date
                            - CASE WHEN {{ is_bounce('t') }} THEN {{ report_days() }} ELSE {{ return_days() }} END
                            AND t.payment_date + {{ reach_days() }}
                            AND (r.payment_date <= t.payment_date OR r.presentation_date = t.presentation_date)
                            AND {{ amount_fits('t', 'r') }}
                            AND coalesce(r.presentation_date = t.presentation_date, true)
                            AND (r.raw_table <> t.raw_table OR r.presents OR t.presents
                                OR NOT {{ is_bounce('t') }} OR r.payment_date = t.payment_date)
                            AND coalesce(r.by_mandate = t.by_mandate, true)
                            AND r.reports AND r.rule <> 'provisional' AND {{ stands('r', 't') }}
{%- endmacro %}

{# A refund may be of a part, where no payment of its very amount is there. #}
{% macro amount_fits(back, report) -%}
    ({{ report }}.amount = {{ back }}.amount OR {{ back }}.outcome = 'refund' AND {{ report }}.amount > {{ back }}.amount
                                AND NOT EXISTS (
                                    SELECT FROM "CORE"."CORE_PAYMENT_KEY" equal
                                    WHERE equal.source_lender = {{ back }}.source_lender
                                        AND equal.loan_external_id = {{ back }}.loan_external_id
                                        AND equal.amount = {{ back }}.amount
                                        AND equal.payment_date BETWEEN {{ back }}.payment_date - {{ return_days() }}
                                        AND {{ back }}.payment_date
                                        AND equal.reports AND equal.rule <> 'provisional'
                                ))
{%- endmacro %}

{# A source that does not name its refunds reports one for a payment, not two. #}
{% macro is_taken_back_by(back, report) -%}
    {{ back }}.refund_id IS NULL AND EXISTS (
                            SELECT FROM "CORE"."CORE_PAYMENT_KEY" earlier
                            WHERE earlier.source_key = {{ report }}.source_key AND earlier.raw_table = {{ back }}.raw_table
                                AND earlier.rule <> 'provisional' AND NOT earlier.reports
                                AND earlier.outcome = {{ back }}.outcome
                        )
{%- endmacro %}


{# The payment that a lender reports as paid and the bank of its group does not, nearest in time. #}
{% macro key_of_denied_payment() -%}
    SELECT r.source_key
                FROM "CORE"."CORE_PAYMENT_KEY" r
                JOIN "CORE"."CORE_SOURCE" s ON s.raw_table = r.raw_table AND s.match_group = t.match_group
                WHERE s.channel = 'PAYMENT' AND r.source_lender = t.source_lender
                    AND r.loan_external_id = t.loan_external_id AND r.amount = t.amount
                    AND r.payment_date BETWEEN t.payment_date - t.match_days AND t.payment_date + t.match_days
                    AND (r.umrn = t.umrn OR r.by_mandate AND t.by_mandate AND coalesce(r.umrn = t.umrn, true))
                    AND r.reports AND r.rule <> 'provisional' AND {{ stands('r', 't') }}
                    AND NOT EXISTS (
                        SELECT FROM "CORE"."CORE_PAYMENT_KEY" paid
                        WHERE paid.source_key = r.source_key AND paid.raw_table = t.raw_table
                            AND paid.reports AND paid.rule <> 'provisional'
                    )
                ORDER BY abs(r.payment_date - t.payment_date), r.raw_id
                LIMIT 1
{%- endmacro %}
