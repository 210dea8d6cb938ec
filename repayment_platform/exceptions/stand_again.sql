-- What was undone and is `found` standing in the ledger as it was posted, as after a restore of Fineract's
-- backup, is posted: unless another payment with its reference was posted or sent since. Returns the payments
-- of which that is so.
WITH found AS MATERIALIZED (
    SELECT told.*
    FROM jsonb_to_recordset({{ found }}) told (source_key text, external_id text, read_at timestamptz)
),

recorded AS (
    UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    SET status = 'success', error_code = NULL, error_text = NULL
    FROM found
    WHERE
        p.source_key = found.source_key AND p.status = 'undone'
        AND coalesce(p.external_id, p.source_key) = found.external_id AND p.processed_at < found.read_at
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" other
            WHERE
                other.payment_ref = p.payment_ref AND other.source_key <> p.source_key
                AND "CORE".is_issued(other.payment_ref)
                AND (other.settled_at IS NULL OR other.outcome = 'success' AND other.undone_at IS NULL)
        )
    RETURNING p.source_key, found.external_id
),

attempted AS (
    UPDATE "CORE"."CORE_POSTING_ATTEMPT" a SET undone_at = NULL
    FROM recorded
    WHERE a.id = (
        SELECT max(id) FROM "CORE"."CORE_POSTING_ATTEMPT"
        WHERE
            source_key = recorded.source_key AND coalesce(external_id, source_key) = recorded.external_id
            AND outcome = 'success'
    )
),

settled AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w USING recorded WHERE w.source_key = recorded.source_key
),

to_judge AS (
    INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key) SELECT source_key FROM recorded ON CONFLICT DO NOTHING
)

SELECT source_key FROM recorded
