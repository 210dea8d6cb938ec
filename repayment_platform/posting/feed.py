"""The list of open work: fed from CORE, and kept true to what is asked and to settings.

What belongs here: SQL that decides which payments are open and in which state they wait.
What does not: what must be asked about them (`exceptions`), what is due (`work`), sending
(`engine`), outcomes (`results`).
"""

from typing import LiteralString

from repayment_platform.exceptions.comparison import OF_KEYS, kept_back, parameters
from repayment_platform.exceptions.plausibility import (
    LEAST_IMPLAUSIBLE,
    SUSPECTS,
    UNJUDGED,
    judge_suspects,
)
from repayment_platform.posting.work import Connection, looking_up_by_key
from repayment_platform.warehouse.advisory import take_in_transaction

# A run whose process is stopped while it feeds (a suspended machine) must not keep all others out.
LET_GO_SECONDS = 10
_LET_GO = f"SET LOCAL idle_in_transaction_session_timeout = '{LET_GO_SECONDS}s'"
# Feeding is one at a time. The lock is no row's, so that a refresh with nothing new writes nothing.
LOCK = int.from_bytes(b"feed")
LOCK_SECONDS = 600.0
"""Longer than feeding all of history takes."""
# max(batch) is an index look-up.
_NEWS = """
SELECT f.batch, greatest(f.batch, (SELECT max(batch) FROM "CORE"."CORE_TRANSACTION_DATA")),
       EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" WHERE tries > 0),
       EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK"),
       EXISTS (SELECT FROM "CORE"."CORE_TO_JUDGE")
       OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" WHERE closed_at IS NULL)
       OR (SELECT min(incarnation) <> "CORE".incarnation()
               OR max(incarnation) <> "CORE".incarnation()
           FROM "CORE"."CORE_LEDGER_ANSWER") IS TRUE
FROM "CORE"."CORE_WORK_FEED" f
"""
_BEGIN = f"{looking_up_by_key('LOCAL')};{_NEWS}"

# Payments of batches not read before, and open ones that have been sent: what CORE learned of a
# payment while its request was under way was passed over. Open ones join or are brought up to
# date, those that are no repayment any more leave. It names those that may be implausible, and
# notes those that may call for a question: a plain repayment of which nothing was ever asked calls
# for none by what CORE tells of it.
_FEED = f"""
WITH changed AS MATERIALIZED (
    SELECT t.*, coalesce(p.status = 'success', false) AS posted,
           coalesce(p.status = 'undone', false) AS undone,
           t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0 AS eligible,
           p.source_key IS NULL OR "CORE".is_as_posted(
               p.loan_external_id, p.amount, coalesce(p.paid_on, p.payment_date),
               t.loan_external_id, t.amount, t.payment_date, t.earliest_day, t.payment_ref)
               AS as_posted
    FROM (
        SELECT * FROM "CORE"."CORE_TRANSACTION_DATA" WHERE batch > %(fed)s
        UNION ALL
        -- OFFSET 0: found by its key, never by reading all that was fed before.
        SELECT c.* FROM "CORE"."CORE_OPEN_WORK" w
        CROSS JOIN LATERAL (SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
                            WHERE source_key = w.source_key OFFSET 0) c
        WHERE w.tries > 0 AND c.batch <= %(fed)s
    ) t LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
               ON p.source_key = t.source_key AND p.status <> 'failed'
), least AS MATERIALIZED ({LEAST_IMPLAUSIBLE}
), withdrawn AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w
    WHERE w.source_key = ANY (ARRAY(
              SELECT source_key FROM changed WHERE NOT posted AND NOT eligible
          UNION ALL
          -- Its loan was corrected, and CORE has it under another key.
          SELECT r.source_key FROM "CORE"."CORE_REFOLD" r
          WHERE r.batch > %(fed)s AND NOT EXISTS (
              SELECT FROM "CORE"."CORE_TRANSACTION_DATA" t WHERE t.source_key = r.source_key)))
      AND (w.state IN ('waiting', 'deferred', 'held', 'failed')) IS TRUE
), to_judge AS (
    INSERT INTO "CORE"."CORE_TO_JUDGE" (source_key)
    SELECT c.source_key FROM changed c
    WHERE NOT c.eligible OR NOT c.as_posted OR c.undone OR c.conflict IS NOT NULL OR c.is_disputed
       OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" e WHERE e.source_key = c.source_key)
       OR EXISTS (SELECT FROM "CORE"."CORE_EXCEPTION" e
                  WHERE e.facts ->> 'other_key' = c.source_key AND e.decision = 'same_payment')
    ON CONFLICT DO NOTHING
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
        -- A day was named for the payment as it was.
        post_on = CASE WHEN (w.loan_external_id, w.payment_date, w.amount)
                            = (EXCLUDED.loan_external_id, EXCLUDED.payment_date, EXCLUDED.amount)
                       THEN w.post_on END,
        -- What Fineract refused of the former facts says nothing of these.
        state = CASE w.state WHEN 'failed' THEN EXCLUDED.state ELSE w.state END,
        reason = CASE WHEN w.state = 'failed' OR w.state = 'waiting'
                           AND (w.recon_source IS NULL) <> (EXCLUDED.recon_source IS NULL)
                      THEN EXCLUDED.reason ELSE w.reason END
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

_NOTED = 'DELETE FROM "CORE"."CORE_TO_JUDGE" RETURNING source_key'
# What Fineract said before this database was restored is asked again.
_OUTLIVED = """
DELETE FROM "CORE"."CORE_LEDGER_ANSWER" WHERE source_key = ANY (ARRAY(
    SELECT source_key FROM "CORE"."CORE_LEDGER_ANSWER" WHERE incarnation < "CORE".incarnation()
    UNION ALL
    SELECT source_key FROM "CORE"."CORE_LEDGER_ANSWER" WHERE incarnation > "CORE".incarnation()
)) RETURNING source_key
"""
# What must be judged: what was noted, of CORE's news and of postings; what was sent; what a limit
# or another posting with its reference may stop; and questions on what CORE has no more.
_TO_JUDGE = f"""
WITH noted AS ({_NOTED}), outlived AS ({_OUTLIVED})
SELECT source_key FROM noted
UNION
SELECT source_key FROM outlived
UNION
SELECT source_key FROM "CORE"."CORE_OPEN_WORK" WHERE tries > 0
UNION
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_LENDER_SETTING" s USING (source_lender) WHERE w.amount > s.max_payment
UNION
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
  ON p.payment_ref = w.payment_ref AND p.status = 'success' AND p.source_key <> w.source_key
 AND "CORE".is_issued(p.payment_ref)
UNION
SELECT e.source_key FROM "CORE"."CORE_EXCEPTION" e
WHERE e.closed_at IS NULL AND e.source_key IS NOT NULL
  AND (e.kind = 'over_limit' OR NOT EXISTS (
      SELECT FROM "CORE"."CORE_TRANSACTION_DATA" t WHERE t.source_key = e.source_key))
"""  # noqa: S608 (the part is a constant)

_KEPT_BACK = "a payment of its loan or reference awaits approval in Fineract"
_AWAITING_APPROVAL = """FROM "CORE"."CORE_POSTING_ATTEMPT"
                     WHERE settled_at IS NULL AND error_code = 'awaiting_approval'"""
# Fineract's words, where it refused a deferred payment `w` as it is now.
_REFUSED = """(SELECT p.error_text FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
              WHERE p.source_key = w.source_key AND p.status = 'failed' AND p.run_id <> 'repost'
                AND (p.loan_external_id, p.payment_date, p.amount)
                    = (w.loan_external_id, coalesce(w.post_on, w.payment_date), w.amount))"""
# What an open payment `w` should wait as, by what keeps it back and what Fineract has not approved
# yet, which is read once for all. One that failed and was deferred has failed as before; one that a
# person released is to be sent.
_VERDICT = f"""(
    SELECT
        CASE WHEN kept.state IS NOT NULL THEN kept.state
             WHEN w.state = 'deferred' AND w.tries > 0 AND {_REFUSED} IS NOT NULL THEN 'failed'
             WHEN w.state IN ('held', 'deferred') THEN 'waiting'
             ELSE w.state END AS state,
        CASE WHEN kept.state IS NOT NULL THEN kept.reason
             WHEN w.state <> 'failed' AND (
                 w.loan_external_id IN (SELECT loan_external_id {_AWAITING_APPROVAL})
                 OR w.payment_ref IN (SELECT payment_ref {_AWAITING_APPROVAL}))
                 THEN '{_KEPT_BACK}'
             WHEN w.state NOT IN ('held', 'deferred') AND w.reason <> '{_KEPT_BACK}' THEN w.reason
             WHEN w.state = 'deferred' AND w.tries > 0 AND {_REFUSED} IS NOT NULL THEN {_REFUSED}
             WHEN w.recon_source IS NULL THEN 'to be posted by the next run'
             ELSE 'awaits reconciliation' END AS reason
    FROM (SELECT) one LEFT JOIN LATERAL ({kept_back("w")}) kept ON true
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
    """Bring the list of open work, and what is asked, up to date with CORE and lender settings.

    Call it in a transaction; one that is rolled back leaves no trace (a dry run).

    Raises:
        LockNotHad: another run has fed it for all of `LOCK_SECONDS`.
    """
    await _one_at_a_time(connection)
    cursor = await connection.execute(_BEGIN)
    await cursor.set_result(-1)
    row = await cursor.fetchone()
    fed, newest, some_were_sent, some_are_open, some_are_asked = row or (0, 0, True, True, True)
    is_new = fed < newest
    suspects: list[str] = []
    if is_new or some_were_sent:
        cursor = await connection.execute(_FEED, {"fed": fed, "newest": newest})
        suspects += [key for (keys,) in await cursor.fetchall() for key in keys]
    if some_are_open:
        cursor = await connection.execute(UNJUDGED)
        suspects += [key for (key,) in await cursor.fetchall()]
    if suspects:
        await judge_suspects(connection, suspects)
    if is_new or some_are_open or some_are_asked:
        await _compare(connection, _TO_JUDGE)
    if is_new or some_are_open:
        # In one message. Not as a pipeline: a process that is stopped within one is never let go.
        await connection.execute(f"{_DROP_POSTED};{_RESTATE}")


async def judge(connection: Connection) -> None:
    """Ask what became a question by what was posted, and close what it has answered.

    Raises:
        LockNotHad: see `refresh`.
    """
    await _one_at_a_time(connection)
    await connection.execute(looking_up_by_key("LOCAL"))
    await _compare(connection, _NOTED)


async def _one_at_a_time(connection: Connection) -> None:
    await connection.execute(_LET_GO)
    await take_in_transaction(connection, LOCK, "bringing open work up to date", LOCK_SECONDS)


async def _compare(connection: Connection, which: LiteralString) -> None:
    """Compare the payments that the statement names."""
    keys = [key for (key,) in await (await connection.execute(which)).fetchall()]
    if keys:
        await connection.execute(OF_KEYS, parameters(keys=keys))
