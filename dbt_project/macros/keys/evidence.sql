{#
    What speaks for and against two reports being of one movement of money. This is the decision of
    which money it is, report by report; `decide` draws the conclusion for a payment.

    A new report `n` is compared with a report `r` of a payment that stands. `comparison` says once
    what the two have in common; the other macros are the rules, each as a list of reasons in words, which
    the holds and the payment's page show as they are. A rule applies where its list is not empty.

    equal    the same text or number
    alike    equal without case, leading zeros and punctuation: a suspicion, never a proof
    own UTR  one that no other loan bears; a UTR that many loans share is a payout's
#}

{# How many days two reports of one source may be apart: a debit takes some to settle over
   holidays, a gateway captures a payment within five; instalments are a week apart or more. #}
{% macro report_days() -%} 5 {%- endmacro %}

{# The same for two sources of a match group, and for a loan whose reports have come out of the
   order of their days. #}
{% macro late_days(out_of_order) -%} CASE WHEN {{ out_of_order }} THEN 21 ELSE 6 END {%- endmacro %}

{# How far payment dates can be apart where days of presentation are what counts. #}
{% macro reach_days() -%} 10 {%- endmacro %}

{# Amounts that may be one with a charge or a correction: within 2 % or 100 rupees. #}
{% macro little_of(amount) -%} greatest({{ amount }} / 50, 100) {%- endmacro %}


{# What two reports have in common, as a row of columns; r's source is `s`. #}
{% macro comparison() -%}
    SELECT
        n.raw_table = r.raw_table AS is_same_source,
        coalesce(n.match_group = s.match_group AND n.raw_table <> r.raw_table, false) AS is_one_group,
        coalesce(n.raw_table = r.raw_table AND n.file_id = r.file_id, false) AS is_same_file,
        coalesce(n.source_lender = r.source_lender AND n.loan_external_id = r.loan_external_id, false)
            AS is_same_loan,
        coalesce(
            n.loan_external_id <> r.loan_external_id OR n.loan_external_id IS NOT NULL
            AND r.loan_external_id IS NOT NULL AND n.source_lender <> r.source_lender, false
        ) AS names_another_loan,
        n.payment_ref IS NOT NULL AND r.payment_ref IS NOT NULL AS have_both_references,
        coalesce("CORE".is_issued(n.payment_ref) AND "CORE".is_issued(r.payment_ref), false) AS are_both_issued,
        coalesce(n.payment_ref = r.payment_ref, false) AS is_equal_reference,
        coalesce(n.alike = "CORE".alike(r.payment_ref), false) OR coalesce(n.order_ref = r.order_ref, false)
            AS is_alike_reference,
        coalesce(n.order_ref = r.order_ref, false) AS is_equal_order,
        coalesce(n.is_own_utr AND n.utr = r.utr, false) AS is_equal_utr,
        coalesce(n.umrn = r.umrn, false) AS is_equal_umrn,
        coalesce(n.umrn <> r.umrn, false) AS names_another_umrn,
        n.amount = r.amount AS is_equal_amount,
        abs(n.payment_date - r.payment_date) AS dates_apart,
        coalesce(abs(n.presentation_date - r.presentation_date), abs(n.payment_date - r.payment_date))
            AS days_apart,
        coalesce(n.presentation_date = r.presentation_date, false) AS is_same_presentation,
        coalesce(n.replaces_id = {{ chain('r') }}, false) AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_PAYMENT_KEY" later
            WHERE later.replaces_id = n.replaces_id AND later.raw_id > r.raw_id AND later.raw_id < n.raw_id
                AND later.reports AND later.rule <> 'provisional'
        ) AS is_replaced_by_it,
        coalesce(
            r.file_id = ANY (n.again_files) AND n.loan_external_id = r.loan_external_id
            AND coalesce(n.presentation_date, n.payment_date) = coalesce(r.presentation_date, r.payment_date),
            false
        ) AS is_reported_again
{%- endmacro %}


{# Why n could be of the money of r: what makes r's payment a candidate. `has_source` tells whether the
   payment has a report of n's source. #}
{% macro same_because(has_source) -%}
    array_remove(ARRAY[
        CASE
            WHEN c.is_equal_order THEN 'equal order'
            WHEN NOT c.is_alike_reference THEN null
            WHEN c.are_both_issued OR c.is_same_loan
                OR c.is_equal_amount AND c.days_apart <= {{ report_days() }}
                AND n.source_lender = r.source_lender
                AND NOT {{ is_loose('n.payment_ref') }} AND NOT {{ is_loose('r.payment_ref') }}
                THEN CASE WHEN c.is_equal_reference THEN 'equal reference' ELSE 'reference spelled alike' END
        END,
        CASE WHEN c.is_same_loan AND c.is_equal_utr THEN 'equal UTR' END,
        CASE
            WHEN c.is_equal_umrn AND c.days_apart <= {{ report_days() }}
                AND (c.is_same_loan OR c.is_equal_amount AND n.source_lender = r.source_lender)
                THEN 'equal UMRN'
        END,
        CASE
            WHEN c.is_same_loan AND c.is_equal_amount
                AND (
                    c.days_apart <= {{ report_days() }}
                    OR c.is_one_group AND c.days_apart <= {{ late_days('n.is_out_of_order') }}
                )
                THEN 'equal loan and amount'
            WHEN c.is_same_loan AND c.is_one_group AND NOT {{ has_source }}
                AND abs(n.amount - r.amount) <= {{ little_of('n.amount') }}
                AND c.dates_apart <= n.match_days
                AND (n.by_mandate OR r.by_mandate)
                AND n.by_mandate IS NOT false AND r.by_mandate IS NOT false
                THEN 'equal loan, nearly equal amount'
        END,
        CASE WHEN c.is_replaced_by_it THEN 'corrects its row' END,
        CASE WHEN c.is_reported_again THEN 'its file is sent again' END
    ], null)
{%- endmacro %}


{# Why n is proven to be of other money than r, whatever else is reported of r's payment. #}
{% macro other_because() -%}
    array_remove(ARRAY[
        CASE
            WHEN c.are_both_issued THEN
                CASE WHEN NOT c.is_alike_reference THEN 'another issued reference' END
            WHEN c.is_same_file AND c.have_both_references THEN
                CASE
                    WHEN NOT c.is_alike_reference
                        AND NOT (c.is_equal_amount AND c.days_apart = 0 AND c.is_equal_utr)
                        THEN 'a row of the same file with another reference'
                END
            WHEN c.is_same_file AND NOT (c.is_equal_amount AND c.days_apart = 0)
                THEN 'a row of the same file with another amount or day'
        END
    ], null)
{%- endmacro %}

{# Why n is of other money than r, unless an alike reference or an equal UTR links them, or links n to a
   report of its own source that the payment has. #}
{% macro other_unless_linked() -%}
    array_remove(ARRAY[
        CASE
            WHEN NOT c.is_same_source THEN null
            WHEN n.presentation_date <> r.presentation_date THEN 'another day of presentation'
            WHEN NOT n.presents AND NOT r.presents AND n.payment_date <> r.payment_date
                THEN 'another day in the same source'
        END,
        CASE WHEN n.by_mandate <> r.by_mandate THEN 'by a mandate and by another rail' END,
        CASE
            WHEN c.days_apart > CASE
                WHEN c.is_one_group THEN {{ late_days('n.is_out_of_order') }} ELSE {{ report_days() }}
            END
                THEN 'too many days apart'
        END
    ], null)
{%- endmacro %}


{# What contradicts n being of r's payment, whatever proves it. A row that n replaces says nothing more. #}
{% macro contradicted_by() -%}
    array_remove(ARRAY[
        CASE WHEN c.names_another_loan THEN 'another loan' END,
        CASE WHEN c.names_another_umrn THEN 'another UMRN' END,
        CASE
            WHEN c.are_both_issued AND NOT c.is_equal_reference
                AND {{ namespace('n.payment_ref') }} = {{ namespace('r.payment_ref') }}
                THEN 'another reference of the same gateway'
        END
    ], null)
{%- endmacro %}


{# The number of the strongest proof that n is of r's payment, 1 the strongest; null where there is none.
   4 to 7 hold only for payments that have no row of n's file, 7 only for those that have no report of
   n's source. #}
{% macro proof() -%}
    CASE
        WHEN c.is_equal_reference AND c.are_both_issued OR c.is_equal_order THEN 1
        WHEN c.is_same_source AND c.is_equal_reference AND c.is_equal_amount
            AND c.days_apart <= {{ report_days() }} AND NOT (c.is_replaced_by_it AND c.names_another_loan) THEN 2
        WHEN {{ is_row_corrected() }} THEN 3
        WHEN NOT c.is_same_loan OR NOT c.is_equal_amount THEN null
        WHEN {{ is_row_again() }} THEN 4
        WHEN c.is_same_source AND c.is_equal_umrn AND c.is_same_presentation
            AND (c.is_equal_reference OR NOT c.have_both_references)
            AND coalesce(n.utr = r.utr, true) THEN 5
        WHEN c.is_one_group AND c.is_equal_utr THEN 6
        WHEN c.is_one_group AND c.days_apart <= n.match_days THEN 7
    END
{%- endmacro %}

{# Whether n corrects the row r, and is still about the same. #}
{% macro is_row_corrected() -%}
    c.is_replaced_by_it AND (c.is_equal_reference OR c.is_equal_utr OR c.days_apart = 0)
{%- endmacro %}

{# Whether n is the row r, unchanged, in a file that was sent again. #}
{% macro is_row_again() -%}
    c.is_reported_again AND c.is_same_loan AND c.is_equal_amount
            AND (n.payment_date, n.payment_ref, n.utr, n.umrn, n.by_mandate)
                IS NOT DISTINCT FROM (r.payment_date, r.payment_ref, r.utr, r.umrn, r.by_mandate)
{%- endmacro %}


{# Whether a reference is free text, which counts within one loan only. #}
{% macro is_loose(payment_ref) -%}
    {%- set loose = [] -%}
    {%- for about in registry().values() if about.references == 'loose' -%}
        {%- do loose.append(literal(about.ref_namespace)) -%}
    {%- endfor -%}
    coalesce({{ namespace(payment_ref) }} IN ({{ loose | join(', ') or 'null' }}), false)
{%- endmacro %}
