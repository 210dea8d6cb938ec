"""The one queue: what is open, whatever its kind, and what is said of posted payments.

What belongs here: listing rows of CORE_EXCEPTION, keeping what the ledger was found to have
otherwise. What does not: what the facts call for (`called.sql`), decisions (`decisions`), asking
the ledger (`ledger_proof`), screens.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from repayment_platform.exceptions.comparison import OF_FOUND, of_found
from repayment_platform.exceptions.decisions import FACTS_OF_T, SEEN, SEEN_DIGITS
from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.ledger.differences import Difference

# What another transaction on the loan asks stays a question.
_CLOSE_REPOSTED = f"""
UPDATE "CORE"."CORE_EXCEPTION" h
SET decision = 'repost', closed_by = %(who)s, closed_why = 'to be posted again: ' || %(why)s,
    facts = CASE WHEN h.holds THEN h.facts || {FACTS_OF_T} ELSE h.facts END
FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE t.source_key = h.source_key AND h.closed_at IS NULL AND h.source_key = %(key)s
  AND (NOT h.holds AND h.kind <> 'ledger_foreign' OR h.kind = '{UNDONE}')
"""  # noqa: S608 (the part is a constant)


async def keep_differences(
    connection: AsyncConnection[Any], asked: Collection[str], found: Sequence[Difference]
) -> list[Difference]:
    """Have the open exceptions of the keys that were asked about be what was found; returns those
    of them that no person has closed as they are."""
    told = [_exception_of(difference) for difference in found]
    parameters = of_found(keys=list(asked), found=Jsonb(told))
    open_now = set(await (await connection.execute(OF_FOUND, parameters)).fetchall())
    return [d for d in found if (d.posting.key, d.kind) in open_now]


def _exception_of(difference: Difference) -> dict[str, Any]:
    posting, detail = difference.posting, {"loan": difference.posting.loan, "what": difference.what}
    return {
        "source_key": posting.key,
        "kind": difference.kind,
        "holds": False,
        "facts": detail | {"posted_at": posting.posted_at},
        "words": difference.what,
        "detail": detail,
    }


def close_reposted(connection: Connection[Any], key: str, who: str, why: str) -> None:
    """Close what was to be looked at of a posting that stands no more: it is posted again."""
    connection.execute(_CLOSE_REPOSTED, {"key": key, "who": who, "why": why})


@dataclass(frozen=True)
class OpenException:
    """Something that a person must judge. Rupees; dates of Asia/Kolkata. `detail` says what to
    undo: loan, amount, date, Fineract's transaction id, how much was refunded."""

    id: int
    source_key: str | None
    kind: str
    lender: str | None
    loan: str | None
    amount: Decimal | None
    what: str
    detail: dict[str, Any]
    raised_at: datetime
    holds: bool
    """The payment is not posted while this is open."""
    seen: str
    """A digest of what is shown, to be given back with the decision."""

    @property
    def name(self) -> str:
        """Its number with the digits that tell what was seen, such as `17-a3f2`."""
        return f"{self.id}-{self.seen[:SEEN_DIGITS]}"


_OPEN = f"""
SELECT h.id, h.source_key, h.kind, h.detail, h.raised_at, h.words AS what, h.holds,
       coalesce(h.detail ->> 'lender', t.source_lender, p.source_lender) AS lender,
       t.loan_external_id AS loan, t.amount, {SEEN} AS seen
FROM "CORE"."CORE_EXCEPTION" h
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
WHERE h.closed_at IS NULL AND (%(holds)s::boolean IS NULL OR h.holds = %(holds)s)
  AND (%(kind)s::text IS NULL OR h.kind = %(kind)s)
  AND (%(lender)s::text IS NULL
       OR coalesce(h.detail ->> 'lender', t.source_lender, p.source_lender) = %(lender)s)
ORDER BY h.id
"""  # noqa: S608 (the part is a constant)


def open_questions(
    connection: Connection[Any],
    lender: str | None = None,
    kind: str | None = None,
    *,
    holds: bool | None = None,
) -> list[OpenException]:
    """What nobody has closed, the oldest first: of that lender and kind, and what holds a payment
    or what does not, as far as they are given."""
    asked = {"lender": lender, "kind": kind, "holds": holds}
    with connection.cursor(row_factory=class_row(OpenException)) as cursor:
        return cursor.execute(_OPEN, asked).fetchall()


def open_exceptions(connection: Connection[Any]) -> list[OpenException]:
    """The open ones that hold no payment."""
    return open_questions(connection, holds=False)


def open_holds(connection: Connection[Any]) -> list[OpenException]:
    """The open ones that hold a payment."""
    return open_questions(connection, holds=True)
