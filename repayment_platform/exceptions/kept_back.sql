-- What keeps the payment {{ payment }} (its source_key, source_lender, payment_date) from being posted now:
-- the state in which it waits, the reason, and the reason in brief. No row where it may be posted.
--
-- OFFSET 0: its hold is found by its key, not by reading all in their order.
SELECT
    CASE WHEN h.reason IS NOT NULL THEN 'held' ELSE 'deferred' END AS state,
    CASE
        WHEN h.reason IS NOT NULL THEN h.reason
        WHEN s.paused THEN 'lender paused: ' || coalesce(s.paused_why, 'no reason given')
        ELSE 'paid before ' || s.post_from || ', the first day posted from here'
    END AS reason,
    h.brief
FROM (SELECT) one -- noqa: ST11
LEFT JOIN LATERAL (
    SELECT
        -- Said until dbt has folded the payment again and it leaves the list.
        CASE WHEN decision IS NULL THEN words ELSE 'a person decided that it is no repayment of its own' END AS reason,
        coalesce('ruled out: ' || decision, 'held: ' || kind) AS brief
    FROM (
        SELECT * FROM "CORE"."CORE_EXCEPTION"
        WHERE
            source_key = {{ payment }}.source_key AND holds
            AND (decision IS NULL OR decision IN ('same_payment', 'not_a_repayment'))
        OFFSET 0 -- noqa: AM09
    ) of_it
    ORDER BY id LIMIT 1
) h ON true
LEFT JOIN "CORE"."CORE_LENDER_SETTING" s ON s.source_lender = {{ payment }}.source_lender
WHERE h.reason IS NOT NULL OR s.paused OR {{ payment }}.payment_date < s.post_from
