-- Everything that a person must judge stands in one table, and has one life: it is open, and then it is
-- closed by a decision. What holds a payment back is one of them; CORE_HOLD shows those as before.
ALTER TABLE "CORE"."CORE_EXCEPTION"
ADD COLUMN holds boolean,                 -- the payment is not posted while it is open
ADD COLUMN words text,                    -- the question, for people
ADD COLUMN facts jsonb,                   -- what the judgement depends on
ADD COLUMN decision text CHECK (decision IN (
    'release', 'same_payment', 'not_a_repayment', -- of a payment that is not posted yet
    'post_rest',                                  -- what is left of it after a refund is to be posted
    'post_on',                                    -- it is to be posted on a day that a person named
    'leave',                                      -- it may stay as it is
    'undone',                                     -- the repayment was undone in Fineract, as was asked
    'repost',                                     -- it is to be posted again
    'gone'                                        -- the facts call for it no more; nobody's word
)),
ALTER COLUMN raised_at SET DEFAULT clock_timestamp(), -- later than the rulings that it was made after
ALTER COLUMN detail DROP NOT NULL;

UPDATE "CORE"."CORE_EXCEPTION" SET
    holds = false,
    words = coalesce(detail ->> 'what', kind),
    facts = CASE WHEN starts_with(kind, 'ledger_') THEN detail ELSE detail - 'what' END,
    decision = CASE
        WHEN closed_at IS NULL THEN NULL
        WHEN closed_by = 'look-up' AND kind LIKE '%\_after\_posting' THEN 'undone'
        WHEN closed_by IN ('CORE', 'look-up') THEN 'gone'
        WHEN starts_with(closed_why, 'to be posted again: ') THEN 'repost'
        ELSE 'leave'
    END;
-- What the ledger was found to have otherwise is of one posting.
UPDATE "CORE"."CORE_EXCEPTION" e SET facts = e.facts || jsonb_build_object('posted_at', extract(EPOCH FROM p.processed_at)::text)
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
WHERE
    starts_with(e.kind, 'ledger_') AND p.source_key = e.source_key AND p.status = 'success'
    AND coalesce(e.closed_at > p.processed_at, true);
-- Only its words had said which reports contradict each other.
DO $$
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'CORE'
               AND table_name = 'CORE_TRANSACTION_DATA' AND column_name = 'conflict') THEN
        UPDATE "CORE"."CORE_EXCEPTION" e
        SET facts = jsonb_build_object('loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date,
                                       'conflict', t.conflict)
        FROM "CORE"."CORE_TRANSACTION_DATA" t
        WHERE e.kind = 'conflicting_reports' AND t.source_key = e.source_key
            AND strpos(e.words, t.conflict) > 0;
    END IF;
END
$$;

-- Holds come after the exceptions that there were; those keep their numbers.
INSERT INTO "CORE"."CORE_EXCEPTION" (
    id, source_key, kind, holds, words, facts, detail, raised_at,
    decision, closed_at, closed_by, closed_why
)
OVERRIDING SYSTEM VALUE
SELECT
    h.id + (SELECT coalesce(max(id), 0) FROM "CORE"."CORE_EXCEPTION") AS id,
    h.source_key, h.reason_code, true AS holds, h.reason, h.facts, '{}' AS detail, h.held_at,
    -- A question may be open of the payment once.
    CASE WHEN twice.is_open OR h.decided_by = 'CORE' THEN 'gone' ELSE h.decision END AS decision,
    coalesce(h.decided_at, CASE WHEN twice.is_open OR h.decision IS NOT NULL THEN h.held_at END) AS closed_at,
    CASE WHEN twice.is_open THEN 'CORE' ELSE h.decided_by END AS closed_by,
    CASE WHEN twice.is_open THEN 'asked about what was posted' ELSE h.decided_why END AS closed_why
FROM "CORE"."CORE_HOLD" h
CROSS JOIN LATERAL (
    SELECT h.decision IS NULL AND EXISTS (
        SELECT FROM "CORE"."CORE_EXCEPTION" e
        WHERE e.source_key = h.source_key AND e.kind = h.reason_code AND e.closed_at IS NULL
    ) AS is_open
) twice;
SELECT setval(pg_get_serial_sequence('"CORE"."CORE_EXCEPTION"', 'id'), greatest(1, max(id)))
FROM "CORE"."CORE_EXCEPTION";
-- A look-up that found another repayment, or ours undone, is of one attempt.
UPDATE "CORE"."CORE_EXCEPTION" e SET
    facts = e.facts || jsonb_build_object('attempt', (
        SELECT max(a.id) FROM "CORE"."CORE_POSTING_ATTEMPT" a
        WHERE
            a.source_key = e.source_key AND a.outcome = 'held' AND a.error_code = e.kind
            AND coalesce(a.settled_at <= e.closed_at, true)
    ))
WHERE e.holds AND e.kind IN ('ledger_differs', 'reversed_in_ledger');

ALTER TABLE "CORE"."CORE_EXCEPTION"
ALTER COLUMN holds SET NOT NULL,
ALTER COLUMN words SET NOT NULL,
ALTER COLUMN facts SET NOT NULL,
ALTER COLUMN detail SET NOT NULL,
ADD COLUMN digest text GENERATED ALWAYS AS (md5(kind || facts::text)) STORED, -- what a ruling is good for
ADD CHECK ((decision IS NULL) = (closed_at IS NULL));

-- For SQL that knows the former tables: a row of CORE_HOLD has no detail, one of CORE_EXCEPTION no
-- words; either is closed by its decision or by its time.
CREATE FUNCTION "CORE".complete_exception() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.holds := coalesce(NEW.holds, NEW.detail IS NULL);
    NEW.detail := coalesce(NEW.detail, '{}');
    NEW.words := coalesce(NEW.words, NEW.detail ->> 'what', NEW.kind);
    NEW.facts := coalesce(NEW.facts, NEW.detail - 'what');
    IF NEW.decision IS NOT NULL THEN
        NEW.closed_at := coalesce(NEW.closed_at, clock_timestamp());
    ELSIF NEW.closed_at IS NOT NULL AND NEW.holds THEN
        RAISE EXCEPTION 'exception % holds a payment: say by a decision what becomes of it', NEW.id;
    ELSIF NEW.closed_at IS NOT NULL THEN
        NEW.decision := 'leave';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER core_exception_complete BEFORE INSERT OR UPDATE ON "CORE"."CORE_EXCEPTION"
FOR EACH ROW EXECUTE FUNCTION "CORE".complete_exception();

-- Operators' views of the former table read the view that takes its place.
CREATE TEMPORARY TABLE views_of_holds ON COMMIT DROP AS
WITH RECURSIVE reads AS (
    SELECT '"CORE"."CORE_HOLD"'::regclass::oid AS oid, 0 AS depth
    UNION ALL
    SELECT rule.ev_class AS oid, reads.depth + 1 AS depth
    FROM reads
    INNER JOIN pg_depend depends ON depends.refobjid = reads.oid AND depends.classid = 'pg_rewrite'::regclass
    INNER JOIN pg_rewrite rule ON rule.oid = depends.objid AND rule.ev_class <> reads.oid
)

SELECT
    oid::regclass::text AS name, pg_get_viewdef(oid) AS definition, max(depth) AS depth
FROM reads
WHERE depth > 0
GROUP BY oid;
DROP TABLE "CORE"."CORE_HOLD" CASCADE;
CREATE VIEW "CORE"."CORE_HOLD" AS
SELECT
    id,
    source_key,
    kind AS reason_code,
    words AS reason,
    facts,
    raised_at AS held_at,
    decision,
    closed_by AS decided_by,
    closed_why AS decided_why,
    closed_at AS decided_at
FROM "CORE"."CORE_EXCEPTION"
WHERE holds;
DO $$
DECLARE
    lost record;
BEGIN
    FOR lost IN SELECT * FROM views_of_holds ORDER BY depth LOOP
        EXECUTE format('CREATE VIEW %s AS %s', lost.name, lost.definition);
    END LOOP;
END
$$;
CREATE INDEX core_hold_waiting ON "CORE"."CORE_EXCEPTION" (id) WHERE holds AND decision IS NULL;
-- Each run asks of every payment that changed whether another was ruled the same.
CREATE INDEX core_exception_same_as ON "CORE"."CORE_EXCEPTION" ((facts ->> 'other_key'))
WHERE decision = 'same_payment';

-- A payment that Fineract refuses on its own day is posted on a later one that a person names. CORE keeps
-- the day of payment, and so does the outcome beside the day that was posted.
ALTER TABLE "CORE"."CORE_OPEN_WORK" ADD COLUMN post_on date;
ALTER TABLE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" ADD COLUMN paid_on date; -- where another day was posted

-- A person names the loan of a payment by its reference, or where it has none by the row that tells of it.
ALTER TABLE "CORE"."CORE_LOAN_MAPPING"
DROP CONSTRAINT "CORE_LOAN_MAPPING_pkey",
ALTER COLUMN payment_ref DROP NOT NULL,
ADD UNIQUE (payment_ref),
ADD COLUMN raw_id bigint UNIQUE,
ADD CHECK ((payment_ref IS NULL) <> (raw_id IS NULL));

-- Whether a person said that what is left of a payment is to be posted, when as much was refunded of it.
CREATE FUNCTION "CORE".posts_rest(key text, refunded numeric) RETURNS boolean LANGUAGE sql STABLE
RETURN coalesce((
    SELECT decision = 'post_rest' FROM "CORE"."CORE_EXCEPTION"
    WHERE
        source_key = key AND decision IN ('release', 'post_rest') AND facts @> jsonb_build_object('refunded', refunded)
    ORDER BY closed_at DESC, id DESC LIMIT 1
), false);

-- Payments of which something became known that may call for a question, or answer one, beside what CORE
-- tells: what came of a posting. The next comparison takes them.
CREATE TABLE "CORE"."CORE_TO_JUDGE" (source_key text PRIMARY KEY);

-- Whether a repayment is posted as its payment is known now. A day that is known better later, as when a
-- bank tells the settlement of a debit, is the same payment. Only Cashfree tells of a payment by a link
-- before it tells its day: what was posted on the day of the event was posted on a wrong one.
CREATE FUNCTION "CORE".is_as_posted(
    posted_loan text, posted_amount numeric, posted_date date,
    loan text, amount numeric, day date, earliest_day date, payment_ref text
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (posted_loan, posted_amount) IS NOT DISTINCT FROM (loan, amount) AND (
    posted_date IS NOT DISTINCT FROM day
    OR coalesce(
        posted_date BETWEEN coalesce(earliest_day, day) - 5 AND day + 5
        AND coalesce(payment_ref, '') !~ '^cashfree', false
    )
);
