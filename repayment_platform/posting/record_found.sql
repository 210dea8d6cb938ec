-- What was found in Fineract, recorded as a run records what it finds of its own. Nothing, where the payment or
-- another with its issued reference is posted or under way.
WITH found AS (
    INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (
        source_key, source_lender, loan_external_id, payment_date, amount, payment_ref, idempotency_key, external_id, run_id, worker, outcome,
        settled_by, settled_at, http_status, resource_id
    )
    SELECT
        t.source_key, t.source_lender, {{ loan }}, {{ date }}, {{ amount }}, t.payment_ref,
        {{ idempotency_key }}, nullif({{ external_id }}, t.source_key) AS external_id,
        {{ look_up }} AS run_id, 0 AS worker, 'success' AS outcome, 'lookup' AS settled_by,
        clock_timestamp() AS settled_at, 200 AS http_status, {{ resource_id }} AS resource_id
    FROM "CORE"."CORE_TRANSACTION_DATA" t
    WHERE
        t.source_key = {{ key }}
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
            WHERE p.status = 'success' AND (
                p.source_key = t.source_key
                OR p.payment_ref = t.payment_ref AND "CORE".is_issued(p.payment_ref)
            )
        )
    ON CONFLICT DO NOTHING
    RETURNING *
),

recorded AS (
    INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" AS p (
        source_key, source_lender, status, loan_external_id, payment_date, amount, payment_ref, recon_source, external_id,
        fineract_transaction_id, run_id
    )
    SELECT
        f.source_key, f.source_lender, 'success' AS status, f.loan_external_id, f.payment_date, f.amount,
        f.payment_ref, t.recon_source, f.external_id, f.resource_id, f.run_id
    FROM found f
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON f.source_key = t.source_key
    ON CONFLICT (source_key) DO UPDATE SET
        status = excluded.status, loan_external_id = excluded.loan_external_id,
        payment_date = excluded.payment_date, paid_on = NULL, amount = excluded.amount,
        payment_ref = excluded.payment_ref, external_id = excluded.external_id,
        fineract_transaction_id = excluded.fineract_transaction_id, error_code = NULL,
        error_text = NULL, attempts = p.attempts + 1, run_id = excluded.run_id,
        processed_at = clock_timestamp(), ledger_checked_at = NULL
),

finished AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w USING found f WHERE w.source_key = f.source_key
)

SELECT source_key FROM found
