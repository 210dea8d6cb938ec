-- What became of the payments whose rows a corrected file changes or withdraws, and whether that asks a person.
UPDATE changes c
SET
    source_key = known.source_key, posting = known.posting,
    becomes_exception = known.posting = 'posted'
    AND (c.new_loan, c.new_date, c.new_amount, c.new_outcome)
    IS DISTINCT FROM (c.old_loan, c.old_date, c.old_amount, c.old_outcome)
    AND NOT (c.kind = 'withdrawn' AND EXISTS (
        -- What is withdrawn takes back its own report; this one says the same of the payment.
        SELECT FROM "CORE"."CORE_PAYMENT_KEY" other
        WHERE
            other.source_key = known.source_key AND other.reports
            AND other.rule <> 'provisional'
            AND (other.payment_date, other.amount) = (c.old_date, c.old_amount)
            AND NOT EXISTS (
                SELECT FROM "CORE"."CORE_PAYMENT_KEY" later
                WHERE
                    later.replaces_id = coalesce(other.replaces_id, other.raw_id)
                    AND later.raw_id > other.raw_id
            )
            AND NOT EXISTS (
                SELECT FROM changes gone
                WHERE gone.first_id = coalesce(other.replaces_id, other.raw_id)
            )
    ))
FROM (
    SELECT DISTINCT ON (row.first_id)
        row.first_id, k.source_key,
        CASE p.status WHEN 'success' THEN 'posted' WHEN 'undone' THEN 'undone' ELSE w.state END
            AS posting
    FROM changes row
    INNER JOIN "CORE"."CORE_PAYMENT_KEY" k
        ON (k.raw_id = row.first_id OR k.replaces_id = row.first_id) AND k.rule <> 'provisional'
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        ON p.source_key = k.source_key AND p.status <> 'failed'
    LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = k.source_key
    WHERE row.kind IN ('changed', 'withdrawn')
    ORDER BY row.first_id ASC, k.raw_id DESC
) known
WHERE c.first_id = known.first_id
