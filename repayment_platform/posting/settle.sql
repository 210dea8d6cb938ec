-- The fence: only the run that the attempt belongs to may settle it, and only once. What asks for a person is not
-- judged here but by the next comparison, and most payments are as they were.
WITH result AS (
    SELECT * FROM unnest(
        {{ attempt_ids }}::bigint[], {{ outcomes }}::text[], {{ states }}::text[], {{ reasons }}::text[],
        {{ bys }}::text[], {{ http_statuses }}::int[], {{ codes }}::text[], {{ resource_ids }}::bigint[],
        {{ back_offs }}::float8[]
    ) r (
        attempt_id, outcome, state, reason, settled_by, http_status, error_code, resource_id,
        back_off
    )
),

settled AS (
    UPDATE "CORE"."CORE_POSTING_ATTEMPT" a
    SET
        outcome = r.outcome, http_status = r.http_status, error_code = r.error_code,
        error_text = CASE WHEN r.outcome = 'success' THEN NULL ELSE r.reason END,
        resource_id = r.resource_id,
        settled_by = CASE WHEN r.outcome IS NOT NULL THEN r.settled_by END,
        settled_at = CASE WHEN r.outcome IS NOT NULL THEN clock_timestamp() END,
        undone_at = CASE WHEN r.error_code = {{ reversed }} THEN clock_timestamp() END
    FROM result r
    -- IS TRUE: found by id alone, never through all that the run has attempted.
    WHERE a.id = r.attempt_id AND (a.run_id = {{ run_id }} AND a.settled_at IS NULL) IS TRUE
    RETURNING a.*, r.state, r.reason, r.back_off
),

recorded AS (
    INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" AS p (
        source_key, source_lender, status, loan_external_id, payment_date, paid_on, amount, payment_ref, recon_source,
        external_id, fineract_transaction_id, error_code, error_text, run_id
    )
    SELECT
        s.source_key, s.source_lender,
        CASE s.error_code WHEN {{ reversed }} THEN 'undone' ELSE s.outcome END AS status,
        s.loan_external_id, s.payment_date,
        CASE WHEN w.post_on = s.payment_date THEN w.payment_date END AS paid_on, s.amount, s.payment_ref,
        w.recon_source, s.external_id, s.resource_id, s.error_code, s.error_text, s.run_id
    FROM settled s
    LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON s.source_key = w.source_key
    WHERE s.outcome IN ('success', 'failed') OR s.error_code = {{ reversed }}
    ORDER BY s.source_key
    ON CONFLICT (source_key) DO UPDATE SET
        status = excluded.status, loan_external_id = excluded.loan_external_id,
        payment_date = excluded.payment_date, paid_on = excluded.paid_on, amount = excluded.amount,
        payment_ref = excluded.payment_ref, external_id = excluded.external_id,
        fineract_transaction_id = excluded.fineract_transaction_id,
        error_code = excluded.error_code, error_text = excluded.error_text,
        attempts = p.attempts + 1, run_id = excluded.run_id, processed_at = clock_timestamp(),
        ledger_checked_at = NULL
    WHERE p.status <> 'success'
),

finished AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w USING settled s
    WHERE w.source_key = s.source_key AND s.outcome = 'success'
),

moved AS (
    UPDATE "CORE"."CORE_OPEN_WORK" w
    SET
        state = s.state, reason = s.reason, tries = w.tries + 1, updated_at = now(),
        not_before = clock_timestamp() + make_interval(secs => s.back_off)
    FROM settled s WHERE w.source_key = s.source_key AND s.outcome IS DISTINCT FROM 'success'
),

to_judge AS (
    INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key)
    SELECT s.source_key FROM settled s
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t ON s.source_key = t.source_key
    WHERE
        s.outcome IN ('held', 'failed') OR s.state = 'awaiting_approval'
        OR s.outcome = 'success'
        AND (
            t.source_key IS NULL OR NOT t.is_success OR t.conflict IS NOT NULL
            OR NOT "CORE".is_as_posted(
                s.loan_external_id, s.amount, s.payment_date,
                t.loan_external_id, t.amount, t.payment_date, t.earliest_day, t.payment_ref
            )
            OR EXISTS (
                SELECT FROM "CORE"."CORE_EXCEPTION" e
                WHERE e.source_key = s.source_key AND e.closed_at IS NULL
            )
            OR EXISTS (
                SELECT FROM "CORE"."CORE_EXCEPTION" e
                WHERE
                    e.facts ->> 'other_key' = s.source_key
                    AND e.decision = 'same_payment'
            )
        )
    ON CONFLICT DO NOTHING
)

SELECT id FROM settled
