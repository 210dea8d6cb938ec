-- Payments of batches not read before, and open ones that have been sent: what CORE learned of a payment while
-- its request was under way was passed over. Open ones join or are brought up to date, those that are no
-- repayment any more leave. It names those that may be implausible, and notes those that may call for a
-- question: a plain repayment of which nothing was ever asked calls for none by what CORE tells of it.
WITH changed AS MATERIALIZED (
    SELECT
        t.*, coalesce(p.status = 'success', false) AS posted,
        coalesce(p.status = 'undone', false) AS undone,
        t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0 AS eligible,
        p.source_key IS NULL OR "CORE".is_as_posted(
            p.loan_external_id, p.amount, coalesce(p.paid_on, p.payment_date),
            t.loan_external_id, t.amount, t.payment_date, t.earliest_day, t.payment_ref)
            AS as_posted
    FROM (
        SELECT * FROM "CORE"."CORE_TRANSACTION_DATA" WHERE batch > {{ fed }}
        UNION ALL
        -- OFFSET 0: found by its key, never by reading all that was fed before.
        SELECT c.* FROM "CORE"."CORE_OPEN_WORK" w
        CROSS JOIN
            LATERAL (
                SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
                WHERE source_key = w.source_key OFFSET 0 -- noqa: AM09
            ) c
        WHERE w.tries > 0 AND c.batch <= {{ fed }}
    ) t LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        ON p.source_key = t.source_key AND p.status <> 'failed'
),

least AS MATERIALIZED ({{ least_implausible }}), -- noqa: ST03

withdrawn AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w
    WHERE w.source_key = any(array(
        SELECT source_key FROM changed WHERE NOT posted AND NOT eligible
        UNION ALL
        -- Its loan was corrected, and CORE has it under another key.
        SELECT r.source_key FROM "CORE"."CORE_REFOLD" r
        WHERE r.batch > {{ fed }} AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_TRANSACTION_DATA" t WHERE t.source_key = r.source_key
        )
    ))
    AND (w.state IN ('waiting', 'deferred', 'held', 'failed')) IS TRUE
),

to_judge AS (
    INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key)
    SELECT c.source_key FROM changed c
    WHERE
        NOT c.eligible OR NOT c.as_posted OR c.undone OR c.conflict IS NOT NULL OR c.is_disputed
        OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" e WHERE e.source_key = c.source_key)
        OR EXISTS (
            SELECT FROM "CORE"."CORE_EXCEPTION" e
            WHERE e.facts ->> 'other_key' = c.source_key AND e.decision = 'same_payment'
        )
    ON CONFLICT DO NOTHING
),

opened AS (
    INSERT INTO "CORE"."CORE_OPEN_WORK" AS w (
        source_key, source_lender, loan_external_id, payment_date, amount, payment_ref, recon_source, state, reason
    )
    SELECT
        source_key, source_lender, loan_external_id, payment_date, amount, payment_ref,
        recon_source, 'waiting' AS state,
        CASE
            WHEN recon_source IS NULL THEN 'to be posted by the next run'
            ELSE 'awaits reconciliation'
        END AS reason
    FROM changed WHERE eligible AND NOT posted
    ORDER BY source_key
    ON CONFLICT (source_key) DO UPDATE SET
        loan_external_id = excluded.loan_external_id, payment_date = excluded.payment_date,
        amount = excluded.amount, payment_ref = excluded.payment_ref,
        recon_source = excluded.recon_source, not_before = NULL, updated_at = now(),
        -- A day was named for the payment as it was.
        post_on = CASE
            WHEN
                (w.loan_external_id, w.payment_date, w.amount)
                = (excluded.loan_external_id, excluded.payment_date, excluded.amount)
                THEN w.post_on
        END,
        -- What Fineract refused of the former facts says nothing of these.
        state = CASE w.state WHEN 'failed' THEN excluded.state ELSE w.state END,
        reason = CASE
            WHEN
                w.state = 'failed' OR w.state = 'waiting'
                AND (w.recon_source IS NULL) <> (excluded.recon_source IS NULL)
                THEN excluded.reason
            ELSE w.reason
        END
    WHERE (w.loan_external_id, w.payment_date, w.amount, w.payment_ref, w.recon_source)
    IS DISTINCT FROM (
        excluded.loan_external_id, excluded.payment_date, excluded.amount,
        excluded.payment_ref, excluded.recon_source
    )
    AND w.state IN ('waiting', 'deferred', 'held', 'failed')
)

UPDATE "CORE"."CORE_WORK_FEED" SET batch = {{ newest }} RETURNING array({{ suspects }})
