{#
    Payouts to a lender: what the lines of each add up to, set against what the gateway announced.
    A refund that is only in a settlement, and fees, stay here: neither is a repayment.
#}
WITH announced AS (
    SELECT DISTINCT ON (source_lender, utr) *
    FROM ({{ settlement_statements() }}) statement
    WHERE utr IS NOT NULL
    ORDER BY source_lender ASC, utr ASC, raw_id DESC
),

paired AS (
    SELECT
        coalesce(l.source_lender, a.source_lender) AS source_lender,
        coalesce(l.settlement_utr, a.utr) AS settlement_utr,
        coalesce(a.settlement_id, l.settlement_id) AS settlement_id,
        coalesce(a.settled_on, l.settled_on) AS settled_on,
        a.status AS announced_status,
        coalesce(l.lines, 0) AS lines,
        coalesce(l.unread_lines, 0) AS unread_lines,
        l.gross AS lines_gross,
        l.refunds AS lines_refunds,
        l.fees AS lines_fees,
        l.net AS lines_net,
        a.gross AS stated_gross,
        a.fees AS stated_fees,
        a.net AS stated_net,
        l.net - a.net AS difference,
        l.gross - a.gross AS gross_difference
    FROM {{ ref('core_settlement_lines') }} l
    FULL JOIN announced a ON a.source_lender = l.source_lender AND a.utr = l.settlement_utr
)

SELECT
    *,
    CASE
        WHEN lines = 0 OR stated_net IS NULL THEN null
        ELSE unread_lines = 0 AND difference = 0 AND coalesce(gross_difference, 0) = 0
    END AS agreed,
    CASE
        WHEN lines = 0 THEN 'announced by the gateway, no line of it has come'
        WHEN unread_lines > 0 THEN unread_lines || ' lines without a readable net'
        WHEN stated_net IS NULL THEN 'not announced by the gateway'
        WHEN difference <> 0 THEN 'the lines add up to ' || lines_net || ', announced were ' || stated_net
        WHEN gross_difference <> 0
            THEN 'the payments add up to ' || lines_gross || ', announced were ' || stated_gross
        ELSE 'the lines add up to what was announced'
    END AS verdict
FROM paired
