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
    {%- set about = registered(table) %}
    settlement_{{ loop.index }} AS (
        SELECT raw.utr, max(touched.batch) AS batch
        FROM touched
        INNER JOIN {{ source('RAW', table) }} raw ON raw.id = touched.raw_id
        WHERE touched.raw_table = '{{ table }}' AND raw.utr IS NOT NULL
        GROUP BY raw.utr
    ),

    -- Materialized, so that each cell is looked for once.
    said_{{ loop.index }} AS MATERIALIZED (
        SELECT
            raw.id,
            raw.replaces_id,
            raw.utr,
            raw.outcome,
            raw.amount,
            settlement.batch,
            {{ settlement_cells(about.settlement_line) }}
        FROM settlement_{{ loop.index }} settlement
        INNER JOIN {{ source('RAW', table) }} raw ON raw.utr = settlement.utr
    ),

    line_{{ loop.index }} AS (
        SELECT DISTINCT ON (utr, coalesce(line_id, id::text))
            '{{ about.lender }}' AS source_lender,
            utr,
            batch,
            outcome,
            amount,
            settlement_id,
            {{ ist_date('settlement_date') }} AS settled_on,
            CASE
                WHEN settled IS NOT NULL THEN {{ rupees('settled') }}
                WHEN num_nonnulls(credit, debit) > 0
                    THEN {{ rupees("coalesce(credit, '0')") }} - {{ rupees("coalesce(debit, '0')") }}
            END AS net,
            outcome <> 'withdrawn' AND NOT EXISTS (
                SELECT FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} later
                WHERE later.replaces_id = coalesce(said.replaces_id, said.id) AND later.raw_id > said.id
            ) AS stands
        FROM said_{{ loop.index }} said
        ORDER BY utr ASC, coalesce(line_id, id::text) ASC, id DESC
    ),
{% endfor %}
line AS (
    {%- for table in settlement_reports() %}
        SELECT * FROM line_{{ loop.index }}
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
    {{ within_rupees("coalesce(sum(amount) FILTER (WHERE stands AND outcome = 'success'), 0)") }} AS gross,
    {{ within_rupees("coalesce(sum(amount) FILTER (WHERE stands AND outcome IN ('refund', 'late_return')), 0)") }}
        AS refunds,
    {{ within_rupees("coalesce(sum(amount - net) FILTER (WHERE stands AND outcome = 'success'), 0)") }} AS fees,
    {{ within_rupees("coalesce(sum(net) FILTER (WHERE stands), 0)") }} AS net,
    max(batch) AS batch
FROM line
GROUP BY source_lender, utr
