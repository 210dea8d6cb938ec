"""The list of open work: fed from CORE, and kept true to holds and settings.

What belongs here: SQL that decides which payments are open and in which state they wait.
What does not: what is due of them (`work`), sending (`engine`), outcomes (`results`).
"""

from repayment_platform.posting.exceptions import (
    CLOSE_SETTLED,
    RAISE_AFTER_POSTING,
    RAISE_CONFLICT,
    RAISE_UNCLEAR,
    UNJUDGED_CONFLICT,
)
from repayment_platform.posting.holds import FACTS_OF_T
from repayment_platform.posting.plausibility import (
    CLOSE_PLAUSIBLE,
    IMPLAUSIBLE,
    LEAST_IMPLAUSIBLE,
    SUSPECTS,
    UNJUDGED,
    hold_implausible,
)
from repayment_platform.posting.rulings import (
    ASK_ABOUT_OTHER_GONE,
    ASK_ABOUT_OTHER_MONEY,
    CLOSE_ANSWERED,
)
from repayment_platform.posting.work import Connection, looking_up_by_key

# A run whose process is stopped while it feeds (a suspended machine) must not keep all others out.
LET_GO_SECONDS = 10
# Feeding is one at a time. The lock is no row's, so that a refresh with nothing new writes nothing.
_LOCK = f"""
SELECT set_config('idle_in_transaction_session_timeout', '{LET_GO_SECONDS}s', true),
       pg_advisory_xact_lock({int.from_bytes(b"feed")})
"""
# max(batch) is an index look-up.
_NEWS = """
SELECT f.batch, greatest(f.batch, (SELECT max(batch) FROM "CORE"."CORE_TRANSACTION_DATA")),
       EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" WHERE tries > 0),
       EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK"),
       EXISTS (SELECT FROM "CORE"."CORE_HOLD" WHERE decision IS NULL),
       EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" WHERE closed_at IS NULL)
FROM "CORE"."CORE_WORK_FEED" f
"""
_BEGIN = f"{_LOCK};{looking_up_by_key('LOCAL')};{_NEWS}"

# Payments of batches not read before, and open ones that have been sent: what CORE learned of a
# payment while its request was under way was passed over. Open ones join or are brought up to
# date, those that are no repayment any more leave, with a hold where money was given back, and a
# posted one whose facts changed becomes an exception. What was given back of a payment that a
# person ruled the same as another was given back of the other, whatever CORE says of that one;
# its holds are read in aggregates, which no plan makes of anything but the index on their key.
# It names those that may be implausible.
_FEED = f"""
WITH changed AS MATERIALIZED (
    SELECT t.*, p AS as_posted, p.source_key IS NOT NULL AS posted,
           t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0 AS eligible
    FROM (
        SELECT * FROM "CORE"."CORE_TRANSACTION_DATA" WHERE batch > %(fed)s
        UNION ALL
        -- OFFSET 0: found by its key, never by reading all that was fed before.
        SELECT c.* FROM "CORE"."CORE_OPEN_WORK" w
        CROSS JOIN LATERAL (SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
                            WHERE source_key = w.source_key OFFSET 0) c
        WHERE w.tries > 0 AND c.batch <= %(fed)s
    ) t LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
               ON p.source_key = t.source_key AND p.status = 'success'
), twins AS MATERIALIZED (
    SELECT c.*, other.source_key AS of_key, p AS of_posted,
           format('the same payment %%s had a %%s', c.source_key, replace(c.outcome, '_', ' '))
               AS why,
           p.source_key IS NULL AND (other.source_key IS NULL OR (
               SELECT bool_or(h.decision IN ('same_payment', 'not_a_repayment')) IS TRUE
               FROM "CORE"."CORE_HOLD" h WHERE h.source_key = other.source_key)) AS is_unclear
    FROM changed c
    CROSS JOIN LATERAL (
        SELECT max(facts ->> 'other_key') AS source_key FROM "CORE"."CORE_HOLD"
        WHERE source_key = c.source_key HAVING bool_or(decision = 'same_payment')
    ) other
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        ON p.source_key = other.source_key AND p.status = 'success'
    WHERE NOT c.posted AND c.outcome IN ('refund', 'late_return')
), posted AS (
    SELECT (as_posted).*, source_key AS told_by, NULL AS why FROM changed WHERE posted
    UNION ALL
    SELECT (of_posted).*, source_key, why FROM twins WHERE (of_posted).source_key IS NOT NULL
), excepted AS ({RAISE_AFTER_POSTING}
), contradicted AS ({RAISE_CONFLICT}
), unclear AS ({RAISE_UNCLEAR}
), given_back AS (
    INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
    SELECT DISTINCT ON (1, 2) c.of_key,
           CASE c.outcome WHEN 'refund' THEN 'refunded' ELSE 'late_return' END,
           CASE c.outcome WHEN 'refund' THEN format('%%s of %%s rupees were refunded',
                                                    c.refunded_amount, c.amount)
                                             || coalesce(': ' || c.why, '')
                ELSE coalesce(c.why, c.not_repayment_reason, c.outcome) END,
           jsonb_build_object('loan', c.loan_external_id, 'amount', c.amount, 'date',
               c.payment_date) || f.known
    FROM (
        SELECT c.*, c.source_key AS of_key, c.as_posted AS of_posted, NULL AS why,
               false AS is_unclear
        FROM changed c
        WHERE NOT c.posted AND NOT c.is_success AND c.outcome IN ('refund', 'late_return')
          AND c.key_rule <> 'provisional'
          AND NOT EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" w WHERE w.source_key = c.source_key
                          AND w.state NOT IN ('waiting', 'deferred', 'held', 'failed'))
        UNION ALL
        SELECT * FROM twins WHERE (of_posted).source_key IS NULL AND NOT is_unclear
    ) c
    CROSS JOIN LATERAL (SELECT jsonb_build_object('outcome', c.outcome, 'told_by', c.source_key,
                                                  'refunded', c.refunded_amount) AS known) f
    WHERE NOT EXISTS (SELECT FROM "CORE"."CORE_HOLD" h WHERE h.source_key = c.of_key
                      AND (h.decision IN ('same_payment', 'not_a_repayment')
                           OR h.decision = 'release' AND h.facts @> f.known))
    ORDER BY 1, 2, c.why NULLS FIRST
    ON CONFLICT (source_key, reason_code) WHERE decision IS NULL
    DO UPDATE SET reason = EXCLUDED.reason, facts = EXCLUDED.facts
), contested AS (
    INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
    SELECT t.source_key, 'conflicting_reports',
           format('%%s was reported with different facts: %%s; a release posts %%s rupees of %%s'
                  ' for loan %%s', coalesce(t.payment_ref, 'one payment'), t.conflict,
                  t.amount, t.payment_date, coalesce(t.loan_external_id, 'unknown')),
           {FACTS_OF_T} || jsonb_build_object('conflict', t.conflict)
    FROM changed t
    WHERE NOT t.posted AND {UNJUDGED_CONFLICT}
      AND NOT EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" w WHERE w.source_key = t.source_key
                      AND w.state NOT IN ('waiting', 'deferred', 'held', 'failed'))
    ON CONFLICT (source_key, reason_code) WHERE decision IS NULL
    DO UPDATE SET reason = EXCLUDED.reason, facts = EXCLUDED.facts
), least AS MATERIALIZED ({LEAST_IMPLAUSIBLE}
), overtaken AS ({ASK_ABOUT_OTHER_MONEY}
), bereft AS ({ASK_ABOUT_OTHER_GONE}
), withdrawn AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w
    WHERE w.source_key = ANY (ARRAY(
              SELECT source_key FROM changed WHERE NOT posted AND NOT eligible))
      AND (w.state IN ('waiting', 'deferred', 'held', 'failed')) IS TRUE
), opened AS (
    INSERT INTO "CORE"."CORE_OPEN_WORK" AS w (source_key, source_lender, loan_external_id,
        payment_date, amount, payment_ref, recon_source, state, reason)
    SELECT source_key, source_lender, loan_external_id, payment_date, amount, payment_ref,
           recon_source, 'waiting',
           CASE WHEN recon_source IS NULL THEN 'to be posted by the next run'
                ELSE 'awaits reconciliation' END
    FROM changed WHERE eligible AND NOT posted
    ORDER BY source_key
    ON CONFLICT (source_key) DO UPDATE SET
        loan_external_id = EXCLUDED.loan_external_id, payment_date = EXCLUDED.payment_date,
        amount = EXCLUDED.amount, payment_ref = EXCLUDED.payment_ref,
        recon_source = EXCLUDED.recon_source, not_before = NULL, updated_at = now(),
        -- What Fineract refused of the former facts says nothing of these.
        state = CASE w.state WHEN 'failed' THEN EXCLUDED.state ELSE w.state END,
        reason = CASE w.state WHEN 'failed' THEN EXCLUDED.reason ELSE w.reason END
    WHERE (w.loan_external_id, w.payment_date, w.amount, w.payment_ref, w.recon_source)
          IS DISTINCT FROM (EXCLUDED.loan_external_id, EXCLUDED.payment_date, EXCLUDED.amount,
                            EXCLUDED.payment_ref, EXCLUDED.recon_source)
      AND w.state IN ('waiting', 'deferred', 'held', 'failed')
)
UPDATE "CORE"."CORE_WORK_FEED" SET batch = %(newest)s RETURNING {SUSPECTS}
"""  # noqa: S608 (the parts are constants)

# A payment that was posted while the feed read it must not stay on the list.
_DROP_POSTED = """
DELETE FROM "CORE"."CORE_OPEN_WORK" w USING "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
WHERE p.source_key = w.source_key AND p.status = 'success'
"""

# What bears one reference that a payment system issued is one repayment, whatever its keys: what
# was posted under another key is a question for a person, again each time it is released.
_HOLD_POSTED_ELSEWHERE = """
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT w.source_key, 'posted_elsewhere',
       format('payment %s was posted under the key %s', w.payment_ref, p.source_key),
       jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount, 'date', w.payment_date)
FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
  ON p.payment_ref = w.payment_ref AND p.status = 'success' AND p.source_key <> w.source_key
 AND "CORE".is_issued(p.payment_ref)
WHERE w.state IN ('waiting', 'deferred', 'held', 'failed')
ON CONFLICT DO NOTHING
"""

# A payment over its lender's limit is held, once: what becomes of its release is told below.
_HOLD_LARGE = """
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT w.source_key, 'over_limit',
       format('%s rupees is over the limit of %s for one payment', w.amount, s.max_payment), f.facts
FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_LENDER_SETTING" s USING (source_lender)
CROSS JOIN LATERAL (SELECT jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount,
                                              'date', w.payment_date) AS facts) f
WHERE w.amount > s.max_payment AND w.state IN ('waiting', 'deferred', 'held', 'failed')
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_HOLD" h
                  WHERE h.source_key = w.source_key AND h.reason_code = 'over_limit')
ON CONFLICT DO NOTHING
"""

# A release is good only for the loan, amount and date it was given for. What was implausible has
# been judged by its new facts. That a refund failed is no release of money that was given back.
_HOLD_CHANGED = f"""
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT DISTINCT ON (w.source_key, h.reason_code) w.source_key, h.reason_code,
       'changed since it was released: ' || h.reason, f.facts
FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_HOLD" h ON h.source_key = w.source_key AND h.decision = 'release'
     AND h.reason_code NOT IN {IMPLAUSIBLE}
CROSS JOIN LATERAL (SELECT jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount,
                                              'date', w.payment_date) AS facts) f
WHERE w.state IN ('waiting', 'deferred', 'held', 'failed')
  AND (h.reason_code <> 'refunded' OR h.decided_by <> 'CORE')
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_HOLD" good
                  WHERE good.source_key = w.source_key AND good.reason_code = h.reason_code
                    AND (good.decision IS NULL OR good.facts @> f.facts))
ON CONFLICT DO NOTHING
"""  # noqa: S608 (the part is a constant)

# A correction has settled which of the reports was right, whatever else it has changed; should they
# differ again, it is news.
_RELEASE_AGREED = f"""
UPDATE "CORE"."CORE_HOLD" h
SET decision = 'release', decided_by = 'CORE', decided_why = 'its reports agree',
    decided_at = now(), facts = {FACTS_OF_T}
FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE t.source_key = h.source_key AND h.reason_code = 'conflicting_reports'
  AND h.decision IS NULL AND t.conflict IS NULL
"""  # noqa: S608 (the part is a constant)

_KEPT_BACK = "a payment of its loan or reference awaits approval in Fineract"
# Said until dbt has folded the payment again and it leaves the list.
_RULED_OUT = "a person decided that it is no repayment of its own"
_AWAITING_APPROVAL = """FROM "CORE"."CORE_POSTING_ATTEMPT"
                     WHERE settled_at IS NULL AND error_code = 'awaiting_approval'"""
# Fineract's words, where it refused a deferred payment `w` as it is now.
_REFUSED = """(SELECT p.error_text FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
              WHERE p.source_key = w.source_key AND p.status = 'failed' AND p.run_id <> 'repost'
                AND (p.loan_external_id, p.payment_date, p.amount)
                    = (w.loan_external_id, w.payment_date, w.amount))"""
# What an open payment `w` should wait as, by holds, settings and what Fineract has not approved
# yet, which is read once for all. OFFSET 0: its hold is found by its key, not by reading all in
# their order, and once for both. One that failed and was deferred has failed as before; one that a
# person released is to be sent.
_VERDICT = f"""(
    SELECT
        CASE WHEN h.reason IS NOT NULL THEN 'held'
             WHEN s.paused OR w.payment_date < s.post_from THEN 'deferred'
             WHEN w.state = 'deferred' AND w.tries > 0 AND {_REFUSED} IS NOT NULL THEN 'failed'
             WHEN w.state IN ('held', 'deferred') THEN 'waiting'
             ELSE w.state END AS state,
        CASE WHEN h.reason IS NOT NULL THEN h.reason
             WHEN s.paused THEN 'lender paused: ' || coalesce(s.paused_why, 'no reason given')
             WHEN w.payment_date < s.post_from
                 THEN 'paid before ' || s.post_from || ', the first day posted from here'
             WHEN w.state <> 'failed' AND (
                 w.loan_external_id IN (SELECT loan_external_id {_AWAITING_APPROVAL})
                 OR w.payment_ref IN (SELECT payment_ref {_AWAITING_APPROVAL}))
                 THEN '{_KEPT_BACK}'
             WHEN w.state NOT IN ('held', 'deferred') AND w.reason <> '{_KEPT_BACK}' THEN w.reason
             WHEN w.state = 'deferred' AND w.tries > 0 AND {_REFUSED} IS NOT NULL THEN {_REFUSED}
             WHEN w.recon_source IS NULL THEN 'to be posted by the next run'
             ELSE 'awaits reconciliation' END AS reason
    FROM (SELECT (SELECT CASE WHEN decision IS NULL THEN reason ELSE '{_RULED_OUT}' END
                  FROM (SELECT * FROM "CORE"."CORE_HOLD"
                        WHERE source_key = w.source_key
                          AND decision IS DISTINCT FROM 'release' OFFSET 0) of_it
                  ORDER BY id LIMIT 1) AS reason OFFSET 0) h
    LEFT JOIN "CORE"."CORE_LENDER_SETTING" s ON s.source_lender = w.source_lender
)"""  # noqa: S608 (the parts are constants)
# Asked of each row by itself and not in a join, which is a bad one when the list was empty at the
# time of its last statistics. One that is claimed meanwhile is left alone.
_RESTATE = f"""
UPDATE "CORE"."CORE_OPEN_WORK" w SET (state, reason) = {_VERDICT}, updated_at = now()
WHERE w.state IN ('waiting', 'deferred', 'held', 'failed')
  AND EXISTS (SELECT FROM {_VERDICT} v
              WHERE (v.state, v.reason) IS DISTINCT FROM (w.state, w.reason))
"""  # noqa: S608 (the part is a constant)


READ_ANEW = 'UPDATE "CORE"."CORE_WORK_FEED" SET batch = 0'
"""After a rebuild of CORE, which may change facts of batches that were read: all is read anew."""


async def refresh(connection: Connection) -> None:
    """Bring the list of open work up to date with CORE, holds and lender settings.

    Call it in a transaction; one that is rolled back leaves no trace (a dry run).
    """
    cursor = await connection.execute(_BEGIN)
    await cursor.set_result(-1)
    row = await cursor.fetchone()
    fed, newest, some_were_sent, some_are_open, some_are_held, some_are_excepted = row or (
        0,
        0,
        True,
        True,
        True,
        True,
    )
    is_new = fed < newest
    suspects: list[str] = []
    if is_new or some_were_sent:
        cursor = await connection.execute(_FEED, {"fed": fed, "newest": newest})
        suspects += [key for (keys,) in await cursor.fetchall() for key in keys]
    if some_are_open:
        cursor = await connection.execute(UNJUDGED)
        suspects += [key for (key,) in await cursor.fetchall()]
    if suspects:
        await hold_implausible(connection, suspects)
    statements: list[str] = []
    if is_new or some_are_open:
        statements += (_DROP_POSTED, _HOLD_POSTED_ELSEWHERE, _HOLD_LARGE, _HOLD_CHANGED)
        statements.append(_RELEASE_AGREED)
    if some_are_held:
        statements += (*CLOSE_ANSWERED, *CLOSE_PLAUSIBLE)
    if is_new or some_are_open:
        statements.append(_RESTATE)
    if some_are_excepted:
        statements += CLOSE_SETTLED
    if statements:
        # In one message. Not as a pipeline: a process that is stopped within one is never let go.
        await connection.execute(";".join(statements))
