-- The payments among the suspects whose day or amount cannot be right, as exceptions (called.sql). For the transaction in
-- which the list was fed: what is new to it or has changed was updated in it.
WITH suspect AS MATERIALIZED (
    SELECT
        w.source_key,
        w.source_lender,
        w.loan_external_id,
        w.payment_date,
        w.amount,
        t.sources,
        (t.first_landed_at AT TIME ZONE 'Asia/Kolkata')::date AS first_heard,
        (t.last_landed_at AT TIME ZONE 'Asia/Kolkata')::date AS last_heard,
        jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount, 'date', w.payment_date) AS facts
    FROM asked
    INNER JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = asked.source_key
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = asked.source_key
    LEFT JOIN "CORE"."CORE_LENDER_SETTING" s ON s.source_lender = w.source_lender
    -- What was judged before, and may be claimed since, is not judged again; what belongs to the
    -- system before is, should it ever be ours.
    WHERE
        w.state IN ('waiting', 'deferred', 'held', 'failed')
        AND (w.updated_at = now() OR w.state IN ('deferred', 'held'))
        AND (w.payment_date < s.post_from) IS NOT true
),

news AS MATERIALIZED (
    SELECT source_key, source_lender FROM "CORE"."CORE_OPEN_WORK" WHERE updated_at = now()
    UNION DISTINCT
    SELECT source_key, source_lender FROM suspect
),

-- What tells nothing of what is usual: what is judged here, and what a person is asked about.
doubtful AS MATERIALIZED (
    SELECT source_key FROM news
    UNION ALL
    SELECT source_key FROM "CORE"."CORE_EXCEPTION"
    WHERE holds AND decision IS NULL AND kind = 'implausible_amount'
),

of_loan AS MATERIALIZED (
    SELECT
        suspect.*,
        earlier.n AS payments,
        (earlier.amounts[(earlier.n + 1) / 2] + earlier.amounts[(earlier.n + 2) / 2]) / 2 AS usual
    FROM suspect
    INNER JOIN LATERAL (
        SELECT array_agg(amount ORDER BY amount) AS amounts, count(*)::integer AS n
        FROM "CORE"."CORE_TRANSACTION_DATA"
        WHERE
            loan_external_id = suspect.loan_external_id AND is_success AND amount > 0
            AND source_key NOT IN (SELECT source_key FROM doubtful)
    ) earlier ON true
),

-- The sources of those whose loan does not tell.
of_which AS (
    SELECT source_lender, raw_table, max(first_heard) AS last_day
    FROM of_loan
    CROSS JOIN unnest(sources) raw_table
    WHERE payments < 3
    GROUP BY source_lender, raw_table
),

-- What each reported before; where that is too little, this together with what is new. Of these one
-- is left out for the one in question, which is above the median.
of_source AS MATERIALIZED (
    SELECT
        of_which.raw_table,
        CASE WHEN known.n >= 20 THEN known.n ELSE together.n - 1 END AS payments,
        CASE
            WHEN known.n >= 20 THEN (known.amounts[(known.n + 1) / 2] + known.amounts[(known.n + 2) / 2]) / 2
            ELSE (together.amounts[together.n / 2] + together.amounts[(together.n + 1) / 2]) / 2
        END AS usual
    FROM of_which
    INNER JOIN LATERAL (
        SELECT array_agg(amount ORDER BY amount) AS amounts, count(*)::integer AS n
        FROM (
            SELECT source_key, sources, is_success, amount, payment_date
            FROM "CORE"."CORE_TRANSACTION_DATA"
            WHERE source_lender = of_which.source_lender
            ORDER BY coalesce(payment_date, '0001-01-01'::date) DESC, source_key DESC
            LIMIT 200 + (SELECT count(*) FROM news WHERE news.source_lender = of_which.source_lender)
        ) newest
        WHERE
            of_which.raw_table = any(sources) AND is_success AND amount > 0
            AND payment_date BETWEEN of_which.last_day - 90 AND of_which.last_day
            AND source_key NOT IN (SELECT source_key FROM doubtful)
    ) known ON true
    INNER JOIN LATERAL (
        SELECT array_agg(amount ORDER BY amount) AS amounts, count(*)::integer AS n
        FROM (
            SELECT unnest(known.amounts) AS amount
            UNION ALL
            SELECT t.amount
            FROM news
            INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = news.source_key
            WHERE of_which.raw_table = any(t.sources)
        ) each
        WHERE known.n < 20
    ) together ON true
),

found AS (
    SELECT
        suspect.source_key,
        suspect.facts,
        'implausible_day' AS kind,
        CASE
            WHEN payment_date > last_heard
                THEN
                    format('paid on %s, but reported on %s', payment_date, last_heard)
                    || format('; usual are that day and the %s before it', usual.days)
            ELSE
                format('paid on %s, %s days before it was reported', payment_date, first_heard - payment_date)
                || format('; usual are at most %s', usual.days)
        END AS words
    FROM suspect
    INNER JOIN LATERAL (
        SELECT coalesce(min(days), 90) AS days
        FROM unnest({{ sources }}::text[], {{ days }}::integer[]) each (raw_table, days)
        WHERE raw_table = any(suspect.sources)
    ) usual ON true
    WHERE payment_date > last_heard OR first_heard - payment_date > usual.days
    UNION ALL
    SELECT
        of_loan.source_key,
        of_loan.facts,
        'implausible_amount' AS kind,
        format('%s rupees are %s times what is usual: ', of_loan.amount, trunc(of_loan.amount / judging.usual))
        || format('%s is the median of %s; paise taken for rupees?', round(judging.usual, 2), judging.whom) AS words
    FROM of_loan
    INNER JOIN LATERAL (
        SELECT of_loan.usual, format('the %s earlier payments of its loan', of_loan.payments) AS whom
        WHERE of_loan.payments >= 3
        UNION ALL
        SELECT of_source.usual, format('%s payments of %s', of_source.payments, of_source.raw_table) AS whom
        FROM of_source
        WHERE of_loan.payments < 3 AND of_source.payments >= 20 AND of_source.raw_table = any(of_loan.sources)
        ORDER BY usual LIMIT 1
    ) judging ON true
    WHERE of_loan.amount >= 50 * judging.usual
)

SELECT source_key, kind, true AS holds, facts, words, '{}'::jsonb AS detail FROM found
