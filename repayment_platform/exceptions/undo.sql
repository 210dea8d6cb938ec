-- What was `found` reversed in the ledger (with the words what became of it) is posted no more: its outcome
-- is `undone`, its attempt says since when, and where CORE says that it is a repayment it is open work again,
-- and held. Not what was posted again since the ledger was read. Returns the payments that are undone, and
-- those that another posting with their reference had kept back.
WITH found AS MATERIALIZED (
    SELECT told.*
    FROM jsonb_to_recordset({{ found }}) told (
        source_key text, external_id text, transaction bigint, what text, read_at timestamptz
    )
),

it AS MATERIALIZED (
    SELECT p.source_key, found.transaction, found.what
    FROM found
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = found.source_key
    WHERE
        p.status <> 'failed' AND coalesce(p.external_id, p.source_key) = found.external_id
        AND p.processed_at < found.read_at
),

recorded AS (
    UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    SET
        status = 'undone', error_code = 'reversed_in_ledger', error_text = it.what,
        fineract_transaction_id = coalesce(p.fineract_transaction_id, it.transaction)
    FROM it
    WHERE
        p.source_key = it.source_key AND p.status <> 'failed'
        AND ((p.status, p.error_text) IS DISTINCT FROM ('undone', it.what))
    RETURNING p.source_key
),

attempted AS (
    UPDATE "CORE"."CORE_POSTING_ATTEMPT" a SET undone_at = clock_timestamp()
    FROM it
    WHERE a.source_key = it.source_key AND a.outcome = 'success' AND a.undone_at IS NULL
),

held AS (
    INSERT INTO "CORE"."CORE_OPEN_WORK" (
        source_key, source_lender, loan_external_id, payment_date, amount, payment_ref, recon_source, state, reason
    )
    SELECT
        t.source_key, t.source_lender, t.loan_external_id, t.payment_date, t.amount, t.payment_ref, t.recon_source,
        'held' AS state, it.what
    FROM it
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = it.source_key
    WHERE t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0
    ON CONFLICT DO NOTHING
),

-- A run that reads CORE at this moment may judge it as it was.
to_judge AS (
    INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key) SELECT source_key FROM recorded ON CONFLICT DO NOTHING
)

SELECT source_key FROM it
UNION
SELECT e.source_key
FROM recorded
INNER JOIN "CORE"."CORE_EXCEPTION" e
    ON e.facts ->> 'posted' = recorded.source_key AND e.kind = 'posted_elsewhere' AND e.closed_at IS NULL
