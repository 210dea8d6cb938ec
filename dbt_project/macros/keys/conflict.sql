{#
    Whether the reports of one payment tell of different money, and what they tell, as aggregates
    over the observations of a payment that stand (core_transaction_data).

    What belongs here: when two reports of one key cannot be of one payment. What does not: what
    follows (exceptions/called.sql). A key is for ever, so a reference that a bank uses
    again keeps its key, and the money of the second payment would be gone without a word.
#}

{# Whether successes bear several references of one issuer: one was corrected to another and came
   again, as that of another payment. #}
{% macro references_differ() -%}
    count(DISTINCT payment_ref) FILTER (WHERE is_success)
        > count(DISTINCT {{ namespace('payment_ref') }}) FILTER (WHERE is_success)
{%- endmacro %}

{# Whether the bank reports a bounce of what only others report as paid. #}
{% macro bank_denies() -%}
    bool_or(says_not_paid) AND bool_or(is_success) AND NOT bool_or(is_success AND channel = 'NACH')
{%- endmacro %}

{#
    Whether successes differ in loan, amount, day or reference, or the bank denies them. Where a lender is posted
    by reconciliation, amounts are compared within one kind of report: between kinds that is
    `amount_differs`, which the preview shows to whoever asks for the posting.
#}
{% macro reports_differ() -%}
    {%- set kind = kind_of_report('raw_table', 'utr') -%}
    (
        min(loan) FILTER (WHERE is_success) < max(loan) FILTER (WHERE is_success)
        OR max(days_after_others) FILTER (WHERE is_success) > {{ report_days() }}
        OR {{ bank_denies() }}
        OR {{ references_differ() }}
        OR min(amount) FILTER (WHERE is_success) < max(amount) FILTER (WHERE is_success)
        AND count(DISTINCT (coalesce({{ kind }}, ''), amount)) FILTER (WHERE is_success)
        > count(DISTINCT coalesce({{ kind }}, '')) FILTER (WHERE is_success)
    )
{%- endmacro %}

{# The different facts of the successes, by day, and their references where these differ. #}
{% macro facts_of_reports() -%}
    string_agg(
        DISTINCT format(
            'on %s %s rupees for loan %s',
            to_char(payment_date, 'YYYY-MM-DD'), amount::numeric(19, 2), coalesce(loan, 'unknown')
        ), '; '
    ) FILTER (WHERE is_success)
    || CASE
        WHEN {{ references_differ() }}
            THEN ', as ' || string_agg(DISTINCT payment_ref, ' and ') FILTER (WHERE is_success)
        ELSE ''
    END
    || CASE WHEN {{ bank_denies() }} THEN ', but the bank says not paid' ELSE '' END
{%- endmacro %}
