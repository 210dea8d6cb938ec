-- What was posted and is reversed in the ledger is posted no more, wherever it is told.
ALTER TABLE "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
DROP CONSTRAINT "CORE_TRANSACTION_DATA_PROCESSED_status_check",
ADD CONSTRAINT "CORE_TRANSACTION_DATA_PROCESSED_status_check"
CHECK (status IN ('success', 'failed', 'undone')); -- undone: posted, and seen reversed in the ledger
CREATE INDEX core_processed_undone ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_lender, payment_date, source_key)
WHERE status = 'undone';

-- A release of what was undone was its repost.
UPDATE "CORE"."CORE_EXCEPTION" SET decision = 'repost' WHERE kind = 'reversed_in_ledger' AND decision = 'release';

-- Postings of which the ledger's reversal was told, and is open or was left as it is; and requests in doubt
-- that a look-up found reversed and nobody has posted again.
CREATE TEMPORARY TABLE undone ON COMMIT DROP AS
SELECT DISTINCT ON (p.source_key)
    p.source_key, p.external_id, p.fineract_transaction_id, coalesce(e.facts ->> 'what', e.words) AS what,
    e.closed_at, e.closed_by, e.closed_why, NULL::bigint AS attempt
FROM "CORE"."CORE_EXCEPTION" e
INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = e.source_key AND p.status = 'success'
WHERE
    e.kind = 'ledger_reversed' AND (e.closed_at IS NULL OR e.decision = 'leave')
    AND coalesce(e.facts ->> 'posted_at' = extract(EPOCH FROM p.processed_at)::text, e.closed_at IS NULL)
ORDER BY p.source_key ASC, e.closed_at DESC NULLS FIRST;
INSERT INTO undone (source_key, external_id, what, attempt)
SELECT
    a.source_key, a.external_id,
    CASE
        WHEN a.error_text LIKE '%changed in Fineract to %'
            THEN 'was changed in the ledger to ' || split_part(a.error_text, 'changed in Fineract to ', 2)
        ELSE 'was undone in the ledger'
    END AS what,
    a.id
FROM "CORE"."CORE_POSTING_ATTEMPT" a
WHERE
    a.outcome = 'held' AND a.error_code = 'reversed_in_ledger' AND a.undone_at IS NULL
    AND NOT EXISTS (
        SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" later WHERE later.source_key = a.source_key AND later.id > a.id
    )
    AND NOT EXISTS (
        SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        WHERE p.source_key = a.source_key AND p.status = 'success'
    );

INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" AS p (
    source_key, source_lender, status, loan_external_id, payment_date, amount, payment_ref, recon_source, external_id,
    error_code, error_text, run_id, processed_at
)
SELECT
    a.source_key, a.source_lender, 'undone' AS status, a.loan_external_id, a.payment_date, a.amount, a.payment_ref,
    w.recon_source, a.external_id, 'reversed_in_ledger' AS error_code, u.what, a.run_id, a.settled_at
FROM undone u
INNER JOIN "CORE"."CORE_POSTING_ATTEMPT" a ON a.id = u.attempt
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = u.source_key
ON CONFLICT (source_key) DO UPDATE SET
    status = 'undone', loan_external_id = excluded.loan_external_id, payment_date = excluded.payment_date,
    amount = excluded.amount, payment_ref = excluded.payment_ref, external_id = excluded.external_id,
    error_code = excluded.error_code, error_text = excluded.error_text, run_id = excluded.run_id,
    processed_at = excluded.processed_at;
UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
SET status = 'undone', error_code = 'reversed_in_ledger', error_text = u.what
FROM undone u WHERE u.source_key = p.source_key AND u.attempt IS NULL;
UPDATE "CORE"."CORE_POSTING_ATTEMPT" a SET undone_at = now()
FROM undone u
WHERE a.source_key = u.source_key AND a.undone_at IS NULL AND (a.outcome = 'success' OR a.id = u.attempt);

-- The question is one now, and says of which posting it is.
UPDATE "CORE"."CORE_EXCEPTION" e
SET
    facts = (e.facts - 'attempt')
    || jsonb_build_object('external_id', coalesce(u.external_id, u.source_key), 'what', u.what)
FROM undone u
WHERE e.source_key = u.source_key AND e.kind = 'reversed_in_ledger' AND (e.facts ->> 'attempt')::bigint = u.attempt;
UPDATE "CORE"."CORE_EXCEPTION" e
SET decision = 'gone', closed_by = 'CORE', closed_why = 'it is asked as reversed_in_ledger'
FROM undone u
WHERE e.source_key = u.source_key AND e.kind = 'ledger_reversed' AND e.closed_at IS NULL;
UPDATE "CORE"."CORE_EXCEPTION" e
SET decision = 'undone', closed_by = 'look-up', closed_why = 'it was undone in Fineract'
FROM undone u
WHERE e.source_key = u.source_key AND e.kind LIKE '%\_after\_posting' AND e.closed_at IS NULL;
DO $$
BEGIN
    -- Before the first run of dbt there is no CORE, and nothing that was posted.
    IF NOT EXISTS (SELECT FROM undone) THEN
        RETURN;
    END IF;
    INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, holds, words, facts, detail, decision, closed_at, closed_by, closed_why)
    SELECT
        t.source_key, 'reversed_in_ledger', now_is.repayment, u.what,
        jsonb_build_object('loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date)
        || jsonb_strip_nulls(jsonb_build_object(
            'external_id', coalesce(u.external_id, u.source_key), 'fineract_transaction_id', u.fineract_transaction_id,
            'what', u.what
        )),
        '{}',
        CASE WHEN u.closed_at IS NULL THEN NULL WHEN now_is.repayment THEN 'not_a_repayment' ELSE 'leave' END,
        u.closed_at, u.closed_by, u.closed_why
    FROM undone u
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = u.source_key
    CROSS JOIN LATERAL (
        SELECT t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0 AS repayment
    ) now_is
    WHERE u.attempt IS NULL AND (now_is.repayment OR u.what <> 'was undone in the ledger')
    ON CONFLICT DO NOTHING;
    -- What a person left as it was is no repayment from the next run of dbt on.
    INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason)
    SELECT source_key, 'its repayment was undone in the ledger, and was to stay so'
    FROM undone WHERE closed_at IS NOT NULL
    ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = excluded.reason;
    INSERT INTO "CORE"."CORE_OPEN_WORK" (
        source_key, source_lender, loan_external_id, payment_date, amount, payment_ref, recon_source, state, reason
    )
    SELECT
        t.source_key, t.source_lender, t.loan_external_id, t.payment_date, t.amount, t.payment_ref, t.recon_source,
        'held', u.what
    FROM undone u
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = u.source_key
    WHERE t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0
    ON CONFLICT DO NOTHING;
END
$$;
INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key) SELECT source_key FROM undone ON CONFLICT DO NOTHING;
DROP TABLE undone;
