"""Held payments and a person's decisions on them.

What belongs here: listing open holds and recording a decision. What does not: placing holds
(`work`, `results`, the key rules), screens.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from repayment_platform.warehouse.audit import record


class Decision(StrEnum):
    RELEASE = "release"
    """A payment of its own: post it, with the facts it has now."""
    SAME_PAYMENT = "same_payment"
    """Another payment reports the same money: never post this one."""
    NOT_A_REPAYMENT = "not_a_repayment"


class NoSuchHold(LookupError):
    """There is no open hold of that number."""


@dataclass(frozen=True)
class Hold:
    """A payment that waits for a person, and why. Rupees; dates of Asia/Kolkata."""

    id: int
    source_key: str
    lender: str | None
    loan: str | None
    amount: Decimal | None
    reason_code: str
    reason: str
    held_at: datetime


_OPEN = """
SELECT h.id, h.source_key, t.source_lender AS lender, t.loan_external_id AS loan, t.amount,
       h.reason_code, h.reason, h.held_at
FROM "CORE"."CORE_HOLD" h
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
WHERE h.decision IS NULL ORDER BY h.id
"""
# The release is bound to the facts of this moment, which are what the person has seen.
_DECIDE = """
UPDATE "CORE"."CORE_HOLD" h
SET decision = %(decision)s, decided_by = %(by)s, decided_why = %(why)s, decided_at = now(),
    facts = h.facts || coalesce((
        SELECT jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount,
                                  'date', w.payment_date)
        FROM "CORE"."CORE_OPEN_WORK" w WHERE w.source_key = h.source_key), '{}')
WHERE h.id = %(id)s AND h.decision IS NULL
RETURNING h.source_key
"""
# Batch 0 asks dbt to fold the payment again in its next run.
_FOLD_AGAIN = """
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) VALUES (%s, %s)
ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = EXCLUDED.reason
"""


def open_holds(connection: Connection[Any]) -> list[Hold]:
    """Every hold that nobody has decided, the oldest first."""
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(_OPEN).fetchall()


def decide(connection: Connection[Any], hold: int, decision: Decision, by: str, why: str) -> str:
    """Record a decision and its audit row; takes effect with the next run. Returns the key.

    Raises:
        NoSuchHold: it does not exist or has been decided.
    """
    with connection.transaction():
        facts = {"id": hold, "decision": decision, "by": by, "why": why}
        row = connection.execute(_DECIDE, facts).fetchone()
        if row is None:
            raise NoSuchHold(f"there is no open hold {hold}")
        connection.execute(_FOLD_AGAIN, (row[0], f"hold {hold}: {decision}"))
        record(connection, by, f"hold.{decision}", row[0], why=why)
    return str(row[0])
