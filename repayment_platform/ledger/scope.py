"""Which loans a comparison asks the ledger about, and what we recorded as posted on them.

What belongs here: choosing loans, reading their postings, and noting that they were asked about.
What does not: asking and comparing (`exceptions.ledger_proof`, `differences`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from repayment_platform.ledger.differences import Posting

UNCHECKED = 5000
"""How many postings that the ledger was never asked about a comparison takes, the oldest first;
the next takes more."""
RECENT = 2000
"""How many of the latest postings every comparison looks at again, for what was undone since."""
EXCEPTIONS_LOOKED_UP = 200
"""Of the open exceptions, how many a comparison asks about, the longest unasked first."""
LOANS_IN_TURN = 20_000
"""How many loans a comparison in turn asks about, the longest unasked first."""

_AFTER_A_RUN = """
(SELECT loan_external_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
 WHERE status = 'success' AND ledger_checked_at IS NULL ORDER BY processed_at LIMIT %(unchecked)s)
UNION
(SELECT loan_external_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
 WHERE status = 'success' ORDER BY processed_at DESC LIMIT %(recent)s)
UNION
(SELECT p.loan_external_id
 FROM "CORE"."CORE_EXCEPTION" e JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
 WHERE e.closed_at IS NULL AND p.status <> 'failed'
   AND (NOT e.holds AND e.kind ~ '^ledger_|_after_posting$' OR e.kind = 'reversed_in_ledger')
 ORDER BY e.looked_at NULLS FIRST, e.id LIMIT %(looked_up)s)
"""
# Reads every outcome, as the other proof of the night does: an index on the time would be written
# with each posting, and be no help in counting loans.
_IN_TURN = """
SELECT loan_external_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE status <> 'failed'
GROUP BY 1 ORDER BY min(ledger_checked_at) NULLS FIRST LIMIT %(in_turn)s
"""
_NAMED = """
SELECT DISTINCT loan_external_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status <> 'failed'
  AND (%(lender)s::text IS NULL OR source_lender = %(lender)s)
  AND (%(first_day)s::date IS NULL OR payment_date >= %(first_day)s)
  AND (%(last_day)s::date IS NULL OR payment_date <= %(last_day)s)
"""
_POSTINGS = """
SELECT loan_external_id AS loan, source_key AS key,
       coalesce(external_id, source_key) AS external_id, amount, payment_date AS date,
       status = 'undone' AS is_undone,
       extract(epoch FROM processed_at)::text AS posted_at, now() AS read_at
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status <> 'failed' AND loan_external_id = ANY (%(loans)s)
"""
# Not what was posted again meanwhile. A time once set is renewed in turn only, so that a run does
# not write all that a loan ever had.
_CHECKED = """
UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p SET ledger_checked_at = read.at
FROM unnest(%(keys)s::text[], %(times)s::timestamptz[]) AS read (source_key, at)
WHERE p.source_key = read.source_key AND p.status <> 'failed' AND p.processed_at < read.at
  AND (p.ledger_checked_at IS NULL OR %(in_turn)s)
"""
_LOOKED = """
UPDATE "CORE"."CORE_EXCEPTION" SET looked_at = now()
WHERE closed_at IS NULL AND source_key = ANY (%(keys)s)
"""


@dataclass(frozen=True)
class LedgerScope:
    """Which loans to ask about, each with all of its postings.

    By default those of postings never asked about, of the latest ones, and of open exceptions; all
    of a lender's or of some days where these are named; or, `in_turn`, the longest unasked.
    """

    lender: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    in_turn: bool = False

    async def loans(self, connection: AsyncConnection[Any]) -> list[str]:
        """The loans of this scope."""
        is_named = (self.lender, self.first_day, self.last_day) != (None, None, None)
        query = _IN_TURN if self.in_turn else _NAMED if is_named else _AFTER_A_RUN
        parameters = {
            "unchecked": UNCHECKED,
            "recent": RECENT,
            "looked_up": EXCEPTIONS_LOOKED_UP,
            "in_turn": LOANS_IN_TURN,
            "lender": self.lender,
            "first_day": self.first_day,
            "last_day": self.last_day,
        }
        cursor = await connection.execute(query, parameters)
        return [loan for (loan,) in await cursor.fetchall()]

    async def checked(self, connection: AsyncConnection[Any], postings: Sequence[Posting]) -> None:
        """Note that the ledger was asked about these, so that others come first next time."""
        parameters = {
            "keys": [posting.key for posting in postings],
            "times": [posting.read_at for posting in postings],
            "in_turn": self.in_turn,
        }
        await connection.execute(_CHECKED, parameters)
        await connection.execute(_LOOKED, parameters)


# Read after the ledger was: what it has of these is ours, though `ours` may have been read before.
SENT = """
SELECT coalesce(external_id, source_key) FROM "CORE"."CORE_POSTING_ATTEMPT"
WHERE settled_at IS NULL AND loan_external_id = ANY (%(loans)s)
UNION ALL
SELECT coalesce(external_id, source_key) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status <> 'failed' AND loan_external_id = ANY (%(loans)s)
"""


async def sent_to(connection: AsyncConnection[Any], loans: Sequence[str]) -> set[str]:
    """The external ids of what is posted on these loans, undone there, or on its way."""
    cursor = await connection.execute(SENT, {"loans": list(loans)})
    return {external_id for (external_id,) in await cursor.fetchall()}


async def postings_of(connection: AsyncConnection[Any], loans: Sequence[str]) -> list[Posting]:
    """All that is recorded as posted on these loans, or as undone there."""
    parameters = {"loans": list(loans)}
    async with connection.cursor(row_factory=class_row(Posting)) as cursor:
        await cursor.execute(_POSTINGS, parameters)
        return await cursor.fetchall()
