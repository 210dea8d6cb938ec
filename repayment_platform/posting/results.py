"""Results: what came of an attempt, written behind a fence.

What belongs here: the transaction that settles attempts and moves their payments to the next
state. What does not: deciding what a reply means (`verdicts`, `settlement`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.posting.model import State
from repayment_platform.posting.work import Connection
from repayment_platform.warehouse.statements import statement


class Settled(StrEnum):
    """What an attempt came to; `None` in its place means that it is still unknown."""

    SUCCESS = "success"
    FAILED = "failed"
    NOT_APPLIED = "not_applied"
    HELD = "held"


@dataclass(frozen=True)
class Result:
    """What is to be written for one attempt."""

    attempt_id: int
    outcome: Settled | None
    state: State
    """The payment's state from now on."""
    reason: str
    by: str = "reply"
    """What settled it: `reply` or `lookup`."""
    http_status: int | None = None
    code: str | None = None
    resource_id: int | None = None
    back_off_seconds: float | None = None


_SETTLE = statement(__file__, "settle.sql")


class Results:
    """Writes groups of results for one run."""

    def __init__(self, connection: Connection, run_id: str) -> None:
        self._connection = connection
        self._run_id = run_id

    async def write(self, results: Sequence[Result]) -> list[bool]:
        """Whether each result was written; False means that another run has taken the attempt
        over and this result came too late."""
        cursor = await self._connection.execute(
            _SETTLE,
            {
                "attempt_ids": [r.attempt_id for r in results],
                "outcomes": [r.outcome for r in results],
                "states": [r.state for r in results],
                "reasons": [r.reason for r in results],
                "bys": [r.by for r in results],
                "http_statuses": [r.http_status for r in results],
                "codes": [r.code for r in results],
                "resource_ids": [r.resource_id for r in results],
                "back_offs": [r.back_off_seconds for r in results],
                "run_id": self._run_id,
                "reversed": UNDONE,
            },
        )
        written = {attempt_id for (attempt_id,) in await cursor.fetchall()}
        return [result.attempt_id in written for result in results]
