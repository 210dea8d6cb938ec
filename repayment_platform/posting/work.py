"""The list of open work: fed from CORE, kept true to holds and settings, read in pages.

What belongs here: SQL that decides which payments are open and in which state they wait.
What does not: sending (`engine`), intents (`claims`), outcomes (`results`).
"""

from collections.abc import AsyncIterator, Collection
from decimal import Decimal
from itertools import groupby
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from repayment_platform.posting.model import Payment, QueueLine, Selection

Connection = AsyncConnection[Any]

LOANS_PER_PAGE = 500

# The lock makes feeding one at a time; max(batch) is an index look-up, so idling costs nothing.
_UNREAD = """
SELECT f.batch, (SELECT max(batch) FROM "CORE"."CORE_TRANSACTION_DATA") AS newest
FROM "CORE"."CORE_WORK_FEED" f FOR UPDATE OF f
"""

# Payments of batches not read before: open ones join or are brought up to date, those that are
# no repayment any more leave, and a posted one whose facts changed becomes an exception.
_FEED = """
WITH changed AS MATERIALIZED (
    SELECT t.*, p.source_key IS NOT NULL AS posted,
           t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0 AS eligible,
           (p.loan_external_id, p.amount, p.payment_date)
               IS DISTINCT FROM (t.loan_external_id, t.amount, t.payment_date) AS differs
    FROM "CORE"."CORE_TRANSACTION_DATA" t
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
           ON p.source_key = t.source_key AND p.status = 'success'
    WHERE t.batch > %(fed)s
), excepted AS (
    INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
    SELECT source_key, 'changed_after_posting',
           jsonb_build_object('loan', loan_external_id, 'amount', amount, 'date', payment_date,
                              'is_repayment', is_success, 'why', not_repayment_reason)
    FROM changed WHERE posted AND (differs OR NOT eligible)
    ON CONFLICT (source_key, kind) WHERE closed_at IS NULL
    DO UPDATE SET detail = EXCLUDED.detail
), withdrawn AS (
    DELETE FROM "CORE"."CORE_OPEN_WORK" w USING changed c
    WHERE w.source_key = c.source_key AND NOT c.posted AND NOT c.eligible
      AND w.state IN ('waiting', 'deferred', 'held', 'failed')
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
        recon_source = EXCLUDED.recon_source, not_before = NULL, updated_at = now()
    WHERE (w.loan_external_id, w.payment_date, w.amount, w.payment_ref, w.recon_source)
          IS DISTINCT FROM (EXCLUDED.loan_external_id, EXCLUDED.payment_date, EXCLUDED.amount,
                            EXCLUDED.payment_ref, EXCLUDED.recon_source)
      AND w.state IN ('waiting', 'deferred', 'held', 'failed')
)
UPDATE "CORE"."CORE_WORK_FEED" SET batch = %(newest)s
"""

# A payment that was posted while the feed read it must not stay on the list.
_DROP_POSTED = """
DELETE FROM "CORE"."CORE_OPEN_WORK" w
USING "CORE"."CORE_TRANSACTION_DATA" t, "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
WHERE t.batch > %(fed)s AND w.source_key = t.source_key
  AND p.source_key = t.source_key AND p.status = 'success'
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

# A release is good only for the loan, amount and date it was given for.
_HOLD_CHANGED = """
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT DISTINCT ON (w.source_key, h.reason_code) w.source_key, h.reason_code,
       'changed since it was released: ' || h.reason, f.facts
FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_HOLD" h ON h.source_key = w.source_key AND h.decision = 'release'
CROSS JOIN LATERAL (SELECT jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount,
                                              'date', w.payment_date) AS facts) f
WHERE w.state IN ('waiting', 'deferred', 'held', 'failed')
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_HOLD" good
                  WHERE good.source_key = w.source_key AND good.reason_code = h.reason_code
                    AND (good.decision IS NULL OR good.facts @> f.facts))
ON CONFLICT DO NOTHING
"""

# What each open payment that nobody is sending should wait as, by holds and settings.
_RESTATE = """
WITH verdict AS (
    SELECT w.source_key,
        CASE WHEN h.source_key IS NOT NULL THEN 'held'
             WHEN s.paused OR w.payment_date < s.post_from THEN 'deferred'
             WHEN w.state IN ('held', 'deferred') THEN 'waiting'
             ELSE w.state END AS state,
        CASE WHEN h.source_key IS NOT NULL THEN h.reason
             WHEN s.paused THEN 'lender paused: ' || coalesce(s.paused_why, 'no reason given')
             WHEN w.payment_date < s.post_from
                 THEN 'paid before ' || s.post_from || ', the first day posted from here'
             WHEN w.state NOT IN ('held', 'deferred') THEN w.reason
             WHEN w.recon_source IS NULL THEN 'to be posted by the next run'
             ELSE 'awaits reconciliation' END AS reason
    FROM "CORE"."CORE_OPEN_WORK" w
    LEFT JOIN "CORE"."CORE_LENDER_SETTING" s USING (source_lender)
    LEFT JOIN LATERAL (SELECT source_key, reason FROM "CORE"."CORE_HOLD"
                       WHERE source_key = w.source_key AND decision IS NULL
                       ORDER BY id LIMIT 1) h ON true
    WHERE w.state IN ('waiting', 'deferred', 'held', 'failed')
)
UPDATE "CORE"."CORE_OPEN_WORK" w SET state = v.state, reason = v.reason, updated_at = now()
FROM verdict v
WHERE v.source_key = w.source_key AND (w.state, w.reason) IS DISTINCT FROM (v.state, v.reason)
"""

# A payment is due when it waits or failed in an earlier run, it is of the run's path, its loan has
# nothing in flight or in doubt, and no earlier trouble of its loan is still backing off.
_DUE = """
    w.state IN ('waiting', 'failed')
    AND w.source_lender = ANY (%(lenders)s)
    AND CASE WHEN %(recon_keys)s::text[] IS NULL THEN w.recon_source IS NULL
             ELSE w.recon_source IS NOT NULL AND w.source_key = ANY (%(recon_keys)s) END
    AND (%(loans)s::text[] IS NULL OR w.loan_external_id = ANY (%(loans)s))
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                    WHERE p.source_key = w.source_key AND p.run_id = %(run_id)s)
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" a
                    WHERE a.loan_external_id = w.loan_external_id AND a.settled_at IS NULL)
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" b
                    WHERE b.source_lender = w.source_lender
                      AND b.loan_external_id = w.loan_external_id
                      AND b.not_before > clock_timestamp())
"""

_PAGE = f"""
WITH loans AS (
    SELECT DISTINCT w.source_lender, w.loan_external_id
    FROM "CORE"."CORE_OPEN_WORK" w
    WHERE (w.source_lender, w.loan_external_id) > (%(after_lender)s, %(after_loan)s) AND {_DUE}
    ORDER BY 1, 2 LIMIT {LOANS_PER_PAGE}
)
SELECT w.source_key, w.source_lender AS lender, w.loan_external_id AS loan,
       w.payment_date AS date, w.amount, w.tries
FROM "CORE"."CORE_OPEN_WORK" w JOIN loans USING (source_lender, loan_external_id)
WHERE {_DUE}
ORDER BY w.source_lender, w.loan_external_id, w.payment_date, w.source_key
"""  # noqa: S608 (the parts are constants of this module)

_QUEUE = f"""
SELECT w.source_lender AS lender,
       CASE WHEN w.recon_source IS NULL THEN 'automated' ELSE 'recon' END AS path,
       w.state, w.reason, count(*) AS payments, sum(w.amount) AS rupees, ({_DUE}) AS due
FROM "CORE"."CORE_OPEN_WORK" w
GROUP BY 1, 2, 3, 4, 7 ORDER BY 1, 2, 3, 4
"""  # noqa: S608

_RUN_LIMITS = """
SELECT source_lender, max_run_count, max_run_amount FROM "CORE"."CORE_LENDER_SETTING"
WHERE max_run_count IS NOT NULL OR max_run_amount IS NOT NULL
"""

_DEFER = """
UPDATE "CORE"."CORE_OPEN_WORK" SET state = 'deferred', reason = %(reason)s, updated_at = now()
WHERE source_key = ANY (%(keys)s) AND state IN ('waiting', 'failed')
"""


async def refresh(connection: Connection) -> None:
    """Bring the list of open work up to date with CORE, holds and lender settings.

    Call it in a transaction; one that is rolled back leaves no trace (a dry run).
    """
    row = await (await connection.execute(_UNREAD)).fetchone()
    fed, newest = row if row else (0, None)
    if newest is not None and newest > fed:
        await connection.execute(_FEED, {"fed": fed, "newest": newest})
        await connection.execute(_DROP_POSTED, {"fed": fed})
    for statement in (_HOLD_LARGE, _HOLD_CHANGED, _RESTATE):
        await connection.execute(statement)


async def queue(connection: Connection, selection: Selection, run_id: str) -> list[QueueLine]:
    """The open work by lender, path, state and reason."""
    async with connection.cursor(row_factory=class_row(QueueLine)) as cursor:
        await cursor.execute(_QUEUE, _parameters(selection, run_id))
        return await cursor.fetchall()


async def due_loans(
    connection: Connection,
    selection: Selection,
    run_id: str,
    allowance: "Allowance",
    loans: Collection[str] | None = None,
) -> AsyncIterator[list[Payment]]:
    """The due payments, a list per loan in date order, read a page of loans at a time.

    Payments beyond a lender's run limits are marked deferred and not given out.
    """
    parameters = _parameters(selection, run_id) | {"loans": list(loans) if loans else None}
    while not allowance.used_up:
        async with connection.cursor(row_factory=class_row(Payment)) as cursor:
            await cursor.execute(_PAGE, parameters)
            page = await cursor.fetchall()
        if not page:
            return
        parameters |= {"after_lender": page[-1].lender, "after_loan": page[-1].loan}
        granted = [payment for payment in page if allowance.grants(payment)]
        await allowance.defer_refused(connection)
        for _, of_loan in groupby(granted, key=lambda payment: (payment.lender, payment.loan)):
            yield list(of_loan)


def _parameters(selection: Selection, run_id: str) -> dict[str, Any]:
    return {
        "lenders": list(selection.lenders),
        "recon_keys": list(selection.recon_keys) if selection.recon_keys is not None else None,
        "run_id": run_id,
        "loans": None,
        "after_lender": "",
        "after_loan": "",
    }


class Allowance:
    """How much a run may still pick up: its own limit, and each lender's count and rupees."""

    def __init__(self, limit: int | None, per_lender: dict[str, tuple[int | None, Decimal | None]]):
        self._left = limit
        self._per_lender = per_lender
        self._count: dict[str, int] = {}
        self._rupees: dict[str, Decimal] = {}
        self._refused: list[Payment] = []
        self.deferred: dict[str, int] = {}

    @classmethod
    async def of(cls, connection: Connection, limit: int | None) -> "Allowance":
        rows = await (await connection.execute(_RUN_LIMITS)).fetchall()
        return cls(limit, {lender: (count, rupees) for lender, count, rupees in rows})

    @property
    def used_up(self) -> bool:
        return self._left is not None and self._left <= 0

    def grants(self, payment: Payment) -> bool:
        """Count the payment in, or refuse it; a lender over its limit is refused to the end."""
        if self.used_up:
            return False
        most, most_rupees = self._per_lender.get(payment.lender, (None, None))
        count = self._count.get(payment.lender, 0) + 1
        rupees = self._rupees.get(payment.lender, Decimal(0)) + payment.amount
        over = (most is not None and count > most) or (
            most_rupees is not None and rupees > most_rupees
        )
        if over or payment.lender in self.deferred:
            self._refused.append(payment)
            self.deferred[payment.lender] = self.deferred.get(payment.lender, 0) + 1
            return False
        self._count[payment.lender], self._rupees[payment.lender] = count, rupees
        if self._left is not None:
            self._left -= 1
        return True

    async def defer_refused(self, connection: Connection) -> None:
        if self._refused:
            keys = [payment.source_key for payment in self._refused]
            reason = "over the lender's limit for one run; the next run goes on"
            await connection.execute(_DEFER, {"keys": keys, "reason": reason})
            self._refused.clear()
