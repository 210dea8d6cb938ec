{#
    What the lines of each settlement add up to, one row per payout.

    Only settlements with new or corrected lines are added up again. A line that stands in two
    downloads of the report counts once, as its newest report says.
#}
{%- set since = last_batch() -%}
-- Keys are given while CORE is built: depends_on: {{ ref('core_transaction_data') }}
WITH touched AS (
    SELECT raw_id, raw_table, batch FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }}
    WHERE raw_table IN ('{{ settlement_reports() | join("', '") }}') AND batch > {{ since }}
    UNION ALL
    -- The settlement that a corrected line was in before.
    SELECT former.raw_id, former.raw_table, correction.batch
    FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} correction
    INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} former
        ON correction.replaces_id IN (former.raw_id, former.replaces_id)
    WHERE correction.raw_table IN ('{{ settlement_reports() | join("', '") }}') AND correction.batch > {{ since }}
),
{% for table in settlement_reports() %}
    settlement_{{ loop.index }} AS (
        SELECT raw.utr, max(touched.batch) AS batch
        FROM touched
        INNER JOIN {{ source('RAW', table) }} raw ON raw.id = touched.raw_id
        WHERE touched.raw_table = '{{ table }}' AND raw.utr IS NOT NULL
        GROUP BY raw.utr
    ),
{% endfor %}
line AS (
    {%- for table in settlement_reports() %}
        SELECT DISTINCT ON (raw.utr, coalesce({{ cell('entityid') }}, raw.id::text))
            '{{ registered(table).lender }}' AS source_lender,
            raw.utr,
            settlement.batch,
            raw.outcome,
            raw.amount,
            {{ cell('settlementid') }} AS settlement_id,
            {{ ist_date(cell('settledat')) }} AS settled_on,
            {{ rupees(cell('credit')) }} - {{ rupees(cell('debit')) }} AS net,
            raw.outcome <> 'withdrawn' AND NOT EXISTS (
                SELECT FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} later
                WHERE later.replaces_id = coalesce(raw.replaces_id, raw.id) AND later.raw_id > raw.id
            ) AS stands
        FROM settlement_{{ loop.index }} settlement
        INNER JOIN {{ source('RAW', table) }} raw ON raw.utr = settlement.utr
        ORDER BY raw.utr, coalesce({{ cell('entityid') }}, raw.id::text), raw.id DESC
        {{ 'UNION ALL' if not loop.last }}
    {%- endfor %}
)

SELECT
    source_lender,
    utr AS settlement_utr,
    max(settlement_id) FILTER (WHERE stands) AS settlement_id,
    max(settled_on) FILTER (WHERE stands) AS settled_on,
    (count(*) FILTER (WHERE stands))::integer AS lines,
    (count(*) FILTER (WHERE stands AND net IS NULL))::integer AS unread_lines,
    coalesce(sum(amount) FILTER (WHERE stands AND outcome = 'success'), 0)::numeric(19, 2) AS gross,
    coalesce(sum(amount) FILTER (WHERE stands AND outcome = 'refund'), 0)::numeric(19, 2) AS refunds,
    coalesce(sum(amount - net) FILTER (WHERE stands AND outcome = 'success'), 0)::numeric(19, 2) AS fees,
    coalesce(sum(net) FILTER (WHERE stands), 0)::numeric(19, 2) AS net,
    max(batch) AS batch
FROM line
GROUP BY source_lender, utr
