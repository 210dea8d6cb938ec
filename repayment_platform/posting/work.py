"""What is due of the list of open work, read in pages of loans.

What belongs here: SQL that decides which payments a run may post now. What does not: keeping the
list (`feed`), a run's limits (`allowance`), sending (`engine`), intents (`claims`).
"""

from collections.abc import AsyncIterator, Collection
from itertools import groupby
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from repayment_platform.posting.allowance import Allowance
from repayment_platform.posting.model import Payment, QueueLine, Selection
from repayment_platform.posting.refusals import SHOWN

Connection = AsyncConnection[Any]

LOANS_PER_PAGE = 500

# A payment is due when it waits or failed in an earlier run and is of the run's path, and its loan
# has nothing in flight or in doubt, nor an earlier trouble that is still backing off. What was not
# sent before has no outcome to look for. What failed for a reason that no look-up shows is due once
# on each day of Kolkata, and whenever a later payment of its loan would overtake it: after that
# Fineract may refuse it for ever. A person who has it reconciled says so.
# IS TRUE: the list is read by loan, of which few make a page, never by state for each of them; and
# an outcome is found by its key, never among all outcomes of the run.
_OF_PATH = """
    CASE WHEN %(recon_keys)s::text[] IS NULL THEN w.recon_source IS NULL
         ELSE w.recon_source IS NOT NULL AND w.source_key = ANY (%(recon_keys)s) END
"""
_DUE = f"""
    (w.state IN ('waiting', 'failed') AND w.source_lender = ANY (%(lenders)s)) IS TRUE
    AND {_OF_PATH}
    AND (w.tries = 0
         OR NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                        WHERE p.source_key = w.source_key AND (p.run_id = %(run_id)s
                            OR w.state = 'failed' AND %(recon_keys)s::text[] IS NULL
                               AND p.error_code <> ALL (%(shown)s)
                               AND p.processed_at >= date_trunc('day', now(), 'Asia/Kolkata')
                               AND NOT EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" later
                                   WHERE later.loan_external_id = w.loan_external_id
                                     AND later.state = 'waiting'
                                     AND later.payment_date >= w.payment_date)
                        ) IS TRUE))
"""  # noqa: S608 (a part is a constant of this module)
_LOAN_IS_FREE = """
    (%(loans)s::text[] IS NULL OR w.loan_external_id = ANY (%(loans)s))
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" a
                    WHERE a.loan_external_id = w.loan_external_id AND a.settled_at IS NULL)
    AND NOT EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" b
                    WHERE b.loan_external_id = w.loan_external_id
                      AND b.not_before > clock_timestamp())
"""

# Fineract knows a loan by its external id alone, so a loan is one whatever the lenders of its
# payments. Loans with a payment that never failed come first, then the others, of these the longest
# untried: else a run's limits would go to what fails again and again.
_LOANS_WITH_NEW = f"""
SELECT DISTINCT loan_external_id, '-infinity' AS tried
FROM "CORE"."CORE_OPEN_WORK" w
WHERE loan_external_id > %(after_loan)s AND (state = 'waiting') IS TRUE AND {_DUE}
  AND {_LOAN_IS_FREE}
ORDER BY 1 LIMIT {LOANS_PER_PAGE}
"""  # noqa: S608 (the parts are constants of this module)
_LOANS_TO_RETRY = f"""
SELECT loan_external_id, max(updated_at)::text AS tried
FROM "CORE"."CORE_OPEN_WORK" w WHERE {_DUE} AND {_LOAN_IS_FREE}
GROUP BY 1
HAVING bool_and(state = 'failed') AND (max(updated_at), loan_external_id)
       > (%(after_tried)s::timestamptz, %(after_loan)s)
ORDER BY max(updated_at), 1 LIMIT {LOANS_PER_PAGE}
"""  # noqa: S608
# OFFSET 0: loan by loan, whatever the statistics say, which may be of a list that was empty.
_PAGE = f"""
WITH loans AS ({{loans}})
SELECT w.source_key, w.source_lender AS lender, w.loan_external_id AS loan,
       coalesce(w.post_on, w.payment_date) AS date, w.amount, w.tries, loans.tried,
       CASE WHEN w.state = 'failed'
            THEN (SELECT p.error_code FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                  WHERE p.source_key = w.source_key) END AS refusal
FROM loans
CROSS JOIN LATERAL (SELECT * FROM "CORE"."CORE_OPEN_WORK" w
                    WHERE w.loan_external_id = loans.loan_external_id AND {_DUE} OFFSET 0) w
ORDER BY loans.tried::timestamptz, 3, 4, w.source_key
"""  # noqa: S608
POST_NEW = _PAGE.format(loans=_LOANS_WITH_NEW)
RETRY_FAILED = _PAGE.format(loans=_LOANS_TO_RETRY)

_QUEUE = f"""
SELECT w.source_lender AS lender,
       CASE WHEN w.recon_source IS NULL THEN 'automated' ELSE 'recon' END AS path,
       w.state, w.reason, count(*) AS payments, sum(w.amount) AS rupees,
       ({_DUE} AND {_LOAN_IS_FREE}) AS due
FROM "CORE"."CORE_OPEN_WORK" w
GROUP BY 1, 2, 3, 4, 7 ORDER BY 1, 2, 3, 4
"""  # noqa: S608


_WAITING = f"""
SELECT count(*) FROM "CORE"."CORE_OPEN_WORK" w
WHERE (state = 'waiting' AND w.source_lender = ANY (%(lenders)s)) IS TRUE AND {_OF_PATH}
"""  # noqa: S608
# Planning what is due takes ten times as long as this.
_ANYTHING_OPEN = 'SELECT FROM "CORE"."CORE_OPEN_WORK" LIMIT 1'


def looking_up_by_key(scope: Literal["LOCAL", "SESSION"]) -> str:
    """The statement for `look_up_by_key`, for the transaction or the whole session."""
    ways = ", ".join(
        f"set_config('enable_{way}', 'off', {scope == 'LOCAL'})"
        for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "material")
    )
    return f"SELECT {ways}"


async def look_up_by_key(connection: Connection) -> None:
    """What is new or open is looked up by key, one after another. Read by the whole, history would
    have to be read too, and the planner prefers that as long as it takes the tables to be small:
    before they are first analyzed, and for all the rows of a long run. Nor through bitmaps: only a
    plain look-up marks the entries of deleted rows, of which each run leaves many, to be passed
    over until the list is vacuumed."""
    await connection.execute(looking_up_by_key("SESSION"))


async def queue(connection: Connection, selection: Selection, run_id: str) -> list[QueueLine]:
    """The open work by lender, path, state and reason."""
    async with connection.cursor(row_factory=class_row(QueueLine)) as cursor:
        await cursor.execute(_QUEUE, _parameters(selection, run_id))
        return await cursor.fetchall()


async def waiting(connection: Connection, selection: Selection, run_id: str) -> int:
    """How many payments wait to be posted by a run."""
    cursor = await connection.execute(_WAITING, _parameters(selection, run_id))
    (count,) = await cursor.fetchone() or (0,)
    return int(count)


async def due_loans(
    connection: Connection,
    selection: Selection,
    run_id: str,
    which: str,
    allowance: Allowance,
    loans: Collection[str] | None = None,
) -> AsyncIterator[list[Payment]]:
    """The due payments, a list per loan in date order, read a page of loans at a time, until the
    run's allowance is used up.

    Args:
        which: `POST_NEW`, and when these have been handled, `RETRY_FAILED`.
        loans: none but these, if given.
    """
    if (await connection.execute(_ANYTHING_OPEN)).rowcount == 0:
        return
    parameters = _parameters(selection, run_id) | {"loans": list(loans) if loans else None}
    while not allowance.used_up and (page := await _page(connection, which, parameters)):
        for _, of_loan in groupby(page, key=lambda payment: payment.loan):
            yield list(of_loan)


async def _page(connection: Connection, query: str, parameters: dict[str, Any]) -> list[Payment]:
    """The next payments; moves the parameters behind them."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, parameters)
        rows = await cursor.fetchall()
    if rows:
        last = rows[-1]
        parameters |= {f"after_{name}": last[name] for name in ("tried", "loan")}
    return [Payment(**{k: v for k, v in row.items() if k != "tried"}) for row in rows]


def _parameters(selection: Selection, run_id: str) -> dict[str, Any]:
    return {
        "lenders": list(selection.lenders),
        "recon_keys": list(selection.recon_keys) if selection.recon_keys is not None else None,
        "run_id": run_id,
        "shown": list(SHOWN),
        "loans": None,
        "after_tried": "-infinity",
        "after_loan": "",
    }
