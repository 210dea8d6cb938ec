-- Compares what the facts call for with what is open, of the payments that changed: what is new opens, what
-- changed is brought up to date, what is gone closes with the reason of its kind. A person's ruling stands
-- while the digest of the facts is the same; where it is another the question is asked anew, with both.
-- Returns what is open of what is called for.
WITH changed AS MATERIALIZED (SELECT unnest({{ keys }}::text[]) AS source_key),

-- A ruling ties two payments together: what becomes of one is a question of the other.
asked AS MATERIALIZED (
    SELECT source_key FROM changed
    UNION
    SELECT e.facts ->> 'other_key' AS source_key
    FROM changed
    INNER JOIN "CORE"."CORE_EXCEPTION" e ON e.source_key = changed.source_key
    WHERE e.decision = 'same_payment' AND e.facts ? 'other_key'
    UNION
    SELECT e.source_key
    FROM changed
    -- OFFSET 0: found by the key of the other, never by reading all that were ruled the same.
    CROSS JOIN LATERAL (
        SELECT * FROM "CORE"."CORE_EXCEPTION"
        WHERE facts ->> 'other_key' = changed.source_key AND decision = 'same_payment' OFFSET 0 -- noqa: AM09
    ) e
),

called AS MATERIALIZED ({{ called }}),

judged AS MATERIALIZED (
    SELECT
        called.source_key,
        called.kind,
        called.holds,
        called.facts,
        open.id AS open_id,
        good.id IS NOT NULL AS is_judged,
        coalesce('changed since ' || CASE former.decision
            WHEN 'release' THEN 'it was released'
            WHEN 'post_rest' THEN 'what is left was to be posted'
            WHEN 'post_on' THEN 'a day was named for it'
            WHEN 'name_loan' THEN 'its loan was named'
            WHEN 'leave' THEN 'it was left as it was'
            WHEN 'undone' THEN 'it was undone'
            WHEN 'same_payment' THEN 'it was ruled the same as another'
            WHEN 'not_a_repayment' THEN 'it was ruled no repayment'
        END || ': ', '') || called.words AS words,
        called.detail
        || CASE WHEN called.holds THEN '{}' ELSE jsonb_build_object('what', called.words) END
        || CASE
            WHEN former.decision IS null THEN '{}'
            ELSE jsonb_build_object('before', jsonb_build_object(
                'decision', former.decision, 'by', former.closed_by, 'why', former.closed_why, 'facts', former.facts
            ))
        END AS detail
    FROM called
    LEFT JOIN LATERAL (
        SELECT * FROM "CORE"."CORE_EXCEPTION"
        WHERE source_key = called.source_key AND kind = called.kind AND closed_at IS NULL
    ) open ON true
    LEFT JOIN LATERAL (
        SELECT id FROM "CORE"."CORE_EXCEPTION"
        WHERE
            source_key = called.source_key AND kind = called.kind
            AND digest = md5(called.kind || called.facts::text)
            AND (decision = any({{ rulings }}::text[]) OR kind = 'reversed_in_ledger' AND decision = 'repost')
            -- What holds a payment does not just stay as it is.
            AND NOT (decision = 'leave' AND called.holds)
            AND NOT (decision = 'release' AND kind = any({{ never_released }}::text[]))
            -- What was to be posted again was posted, and is undone once more: a restored Fineract gives its
            -- numbers again.
            AND NOT (decision = 'repost' AND EXISTS (
                SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                WHERE p.source_key = called.source_key AND p.status = 'undone'
            ))
            -- A named day is good while the payment waits to be posted on it.
            AND NOT (decision = 'post_on' AND NOT EXISTS (
                SELECT FROM "CORE"."CORE_OPEN_WORK" w
                WHERE w.source_key = called.source_key AND w.post_on IS NOT null
            ))
            -- A named loan is good until dbt has taken it up.
            AND NOT (decision = 'name_loan' AND NOT EXISTS (
                SELECT FROM "CORE"."CORE_REFOLD" r WHERE r.source_key = called.source_key AND r.batch = 0
            ))
        LIMIT 1 -- noqa: AM09
    ) good ON true
    LEFT JOIN LATERAL (
        SELECT decision, closed_by, closed_why, facts FROM "CORE"."CORE_EXCEPTION"
        WHERE source_key = called.source_key AND kind = called.kind AND decision = any({{ rulings }}::text[])
        ORDER BY id DESC LIMIT 1
    ) former ON true
),

gone AS (
    UPDATE "CORE"."CORE_EXCEPTION" e
    SET decision = 'gone', closed_at = clock_timestamp(), closed_by = {{ by }}::text, closed_why = reason.why
    FROM unnest({{ kinds }}::text[], {{ reasons }}::text[]) reason (kind, why)
    WHERE
        e.id = any(array(
            SELECT open.id
            FROM asked
            INNER JOIN "CORE"."CORE_EXCEPTION" open
                ON open.source_key = asked.source_key AND open.closed_at IS NULL
        ))
        AND reason.kind = e.kind
        AND NOT ((e.source_key, e.kind) IN (SELECT j.source_key, j.kind FROM judged j WHERE NOT j.is_judged))
),

brought_up_to_date AS (
    UPDATE "CORE"."CORE_EXCEPTION" e
    SET
        facts = j.facts, words = j.words, detail = j.detail, holds = j.holds,
        -- Other facts are another question, of this moment.
        raised_at = CASE WHEN e.facts = j.facts THEN e.raised_at ELSE clock_timestamp() END
    FROM judged j
    WHERE
        e.id = j.open_id AND NOT j.is_judged
        AND ((e.facts, e.words, e.detail, e.holds) IS DISTINCT FROM (j.facts, j.words, j.detail, j.holds))
),

opened AS (
    INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, holds, facts, words, detail)
    SELECT source_key, kind, holds, facts, words, detail
    FROM judged
    WHERE open_id IS NULL AND NOT is_judged
    ORDER BY source_key, kind
    ON CONFLICT DO NOTHING
)

SELECT source_key, kind FROM judged WHERE NOT is_judged
