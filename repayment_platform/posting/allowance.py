"""How much a run may pick up: its own limit, and each lender's count and rupees.

What belongs here: counting payments against limits, and deferring what is over them. What does
not: limits that hold a single payment (`feed`), setting limits (`guards`).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection

from repayment_platform.posting.model import Payment

TOO_LARGE = "larger than all that the lender's limit lets one run post"
"""No run posts it unless somebody changes the limit."""
_OVER = "over the lender's limit for one run"
_BEHIND = "behind an earlier payment of its loan that is over the lender's limit"
_RUN_LIMITS = """
SELECT source_lender, max_run_count, max_run_amount FROM "CORE"."CORE_LENDER_SETTING"
WHERE max_run_count IS NOT NULL OR max_run_amount IS NOT NULL
"""
# One that failed stays so: the longest untried are tried again first.
_DEFER = """
UPDATE "CORE"."CORE_OPEN_WORK" w SET state = 'deferred', reason = r.reason, updated_at = now()
FROM unnest(%(keys)s::text[], %(reasons)s::text[]) AS r (source_key, reason)
WHERE w.source_key = r.source_key AND w.state = 'waiting'
RETURNING w.source_lender
"""


class Allowance:
    """What a run may still post; what is refused keeps back the later payments of its loan."""

    def __init__(self, limit: int | None, per_lender: dict[str, tuple[int | None, Decimal | None]]):
        self._limit = limit
        self._per_lender = per_lender
        self._picked_up: set[str] = set()
        self._taken: set[str] = set()
        self._count: Counter[str] = Counter()
        self._rupees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._refused: dict[str, str] = {}

    @classmethod
    async def of(cls, connection: AsyncConnection[Any], limit: int | None) -> "Allowance":
        rows = await (await connection.execute(_RUN_LIMITS)).fetchall()
        return cls(limit, {lender: (count, rupees) for lender, count, rupees in rows})

    @property
    def used_up(self) -> bool:
        return self._limit is not None and len(self._picked_up) >= self._limit

    def takes(self, payment: Payment, behind: Sequence[Payment]) -> bool:
        """Count the payment in, once, or refuse it with those behind it of its loan."""
        key, lender = payment.source_key, payment.lender
        if self._limit is None and lender not in self._per_lender:
            return True  # nothing to count: a run's memory does not grow with what it posts
        if key in self._taken:
            return True
        if self.used_up and key not in self._picked_up:
            return False
        if refusal := self._refusal(payment):
            self._refused |= {key: refusal} | {later.source_key: _BEHIND for later in behind}
            return False
        self._picked_up.add(key)
        self._taken.add(key)
        self._count[lender] += 1
        self._rupees[lender] += payment.amount
        self._refused.pop(key, None)
        return True

    def gives_back(self, payment: Payment) -> None:
        """It was not posted: its lender's limits are for others."""
        if payment.source_key not in self._taken:
            return
        self._taken.remove(payment.source_key)
        self._count[payment.lender] -= 1
        self._rupees[payment.lender] -= payment.amount

    def _refusal(self, payment: Payment) -> str | None:
        most, most_rupees = self._per_lender.get(payment.lender, (None, None))
        if most is not None and self._count[payment.lender] >= most:
            return _OVER
        if most_rupees is not None and payment.amount > most_rupees:
            return TOO_LARGE
        if most_rupees is not None and self._rupees[payment.lender] + payment.amount > most_rupees:
            return _OVER
        return None

    async def defer_refused(self, connection: AsyncConnection[Any]) -> Counter[str]:
        """Write down why those refused wait; returns how many of which lender."""
        reasons = {"keys": list(self._refused), "reasons": list(self._refused.values())}
        cursor = await connection.execute(_DEFER, reasons)
        return Counter(lender for (lender,) in await cursor.fetchall())
