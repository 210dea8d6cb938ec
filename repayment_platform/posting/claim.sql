-- The payment is read again under lock: it must still be open with the very facts chosen, a repayment in CORE, on
-- this run's path, not held or ruled out, not paused, not undone, posted under no key of its issued reference, and
-- as the run's reconciliation request says. Then the unique indexes on what is under way or posted decide between
-- overlapping runs, whatever has changed since this statement began; loans are taken in order, so that two runs
-- wait for each other and not in a circle.
WITH asked AS (
    SELECT * FROM unnest(
        {{ keys }}::text[], {{ loans }}::text[], {{ dates }}::date[],
        {{ amounts }}::numeric[], {{ workers }}::int[], {{ idempotency_keys }}::text[]
    ) a (source_key, loan_external_id, payment_date, amount, worker, idempotency_key)
),

open AS (
    SELECT
        w.source_key, w.source_lender, w.loan_external_id, a.payment_date, w.amount,
        w.payment_ref, a.worker, a.idempotency_key,
        (
            SELECT p.external_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
            WHERE p.source_key = w.source_key
        ) AS external_id
    FROM "CORE"."CORE_OPEN_WORK" w
    INNER JOIN asked a
        ON w.source_key = a.source_key AND w.loan_external_id = a.loan_external_id AND w.amount = a.amount
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t
        ON w.source_key = t.source_key AND w.loan_external_id = t.loan_external_id AND w.amount = t.amount
    WHERE
        a.payment_date = coalesce(w.post_on, w.payment_date) AND t.payment_date = w.payment_date
        AND w.state IN ('waiting', 'failed') AND t.is_success
        AND (t.recon_source IS NOT NULL) = {{ is_recon }} AND t.source_lender = any({{ lenders }})
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
            WHERE p.status <> 'failed' AND p.source_key = w.source_key
        )
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
            WHERE
                p.status = 'success' AND p.payment_ref = w.payment_ref
                AND "CORE".is_issued(p.payment_ref)
        )
        AND NOT EXISTS ({{ kept_back }})
        AND ({{ recon_request }}::bigint IS NULL OR EXISTS (
            SELECT FROM "CORE"."CORE_RECON_REQUEST" q
            INNER JOIN "CORE"."CORE_RECON_REQUEST_ITEM" i ON i.request_id = q.id
            WHERE
                q.id = {{ recon_request }} AND q.state = 'running' AND q.run_id = {{ run_id }}
                AND (i.source_key, i.loan_external_id, i.payment_date, i.amount)
                = (w.source_key, w.loan_external_id, w.payment_date, w.amount)
        ))
    ORDER BY w.loan_external_id, w.source_key
    FOR UPDATE OF w SKIP LOCKED
),

intended AS (
    INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (
        source_key, source_lender, loan_external_id,
        payment_date, amount, payment_ref, idempotency_key, external_id, run_id, worker
    )
    SELECT
        source_key, source_lender, loan_external_id, payment_date, amount, payment_ref,
        idempotency_key, external_id, {{ run_id }}, worker
    FROM open ORDER BY loan_external_id, source_key
    ON CONFLICT DO NOTHING
    RETURNING id, source_key, coalesce(external_id, source_key) AS external_id, idempotency_key
),

sending AS (
    UPDATE "CORE"."CORE_OPEN_WORK" w
    SET state = 'sending', reason = 'a request to Fineract is under way', updated_at = now()
    FROM intended i WHERE w.source_key = i.source_key
)

SELECT source_key, id, external_id, idempotency_key FROM intended
