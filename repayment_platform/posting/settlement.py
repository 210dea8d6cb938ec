"""Attempts whose end nobody knows: which they are, and when a look-up will be conclusive.

What belongs here: reading a run's open attempts with their age by the database's clock. What does
not: asking Fineract (`engine`), what its answer means (`verdicts`).
"""

from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from repayment_platform.fineract.contract import Refused
from repayment_platform.posting.claims import Attempt
from repayment_platform.posting.model import Payment, State
from repayment_platform.posting.work import Connection

_DOUBTS = """
SELECT a.id, a.idempotency_key, coalesce(a.external_id, a.source_key) AS external_id,
       a.source_key, a.source_lender, a.loan_external_id, a.payment_date, a.amount,
       coalesce(a.error_code, '') AS error_code, coalesce(a.error_text, '') AS error_text,
       a.http_status, coalesce(w.tries, 0) AS tries,
       greatest(0, %(conclusive)s - extract(epoch FROM clock_timestamp() - a.intended_at)
       )::float8 AS seconds_left
FROM "CORE"."CORE_POSTING_ATTEMPT" a
LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
WHERE a.run_id = %(run_id)s AND a.settled_at IS NULL
ORDER BY a.intended_at
"""


@dataclass(frozen=True)
class Doubt:
    """An attempt that may or may not have been applied."""

    attempt: Attempt
    state: State
    seconds_left: float
    """Until a look-up that finds nothing proves that it was not applied."""
    refused: Refused | None = None
    """As in `contract.Unknown`."""


async def doubts(connection: Connection, run_id: str, conclusive: float) -> list[Doubt]:
    """The open attempts that belong to the run, oldest first.

    Absence from the ledger proves something `conclusive` seconds after the intent.
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_DOUBTS, {"run_id": run_id, "conclusive": conclusive})
        return [
            Doubt(
                Attempt(
                    row["id"],
                    Payment(
                        row["source_key"],
                        row["source_lender"],
                        row["loan_external_id"],
                        row["payment_date"],
                        row["amount"],
                        row["tries"],
                    ),
                    row["external_id"],
                    row["idempotency_key"],
                ),
                State.AWAITING_APPROVAL
                if row["error_code"] == State.AWAITING_APPROVAL
                else State.UNKNOWN,
                row["seconds_left"],
                _refused(row),
            )
            for row in await cursor.fetchall()
        ]


def _refused(row: dict[str, Any]) -> Refused | None:
    code = row["error_code"]
    if not code or code == State.AWAITING_APPROVAL:
        return None
    return Refused(code, row["error_text"], row["http_status"] or 0)
