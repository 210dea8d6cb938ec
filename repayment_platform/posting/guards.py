"""Each lender's guards: the pause switch, limits, and the first day posted from here.

What belongs here: changing them, with an audit row. What does not: keeping to them (`feed`,
`claims`, `allowance`).
"""

from datetime import date
from decimal import Decimal
from typing import Any, TypedDict

from psycopg import Connection, sql

from repayment_platform.warehouse.audit import record


class Guards(TypedDict, total=False):
    """What can be set for a lender; rupees; None takes a guard away."""

    paused: bool
    paused_why: str | None
    post_from: date | None
    max_payment: Decimal | None
    max_run_count: int | None
    max_run_amount: Decimal | None


_SET = """
INSERT INTO "CORE"."CORE_LENDER_SETTING" (source_lender, updated_by, {names})
VALUES (%(lender)s, %(by)s, {values})
ON CONFLICT (source_lender) DO UPDATE
SET ({names}, updated_by, updated_at) = ROW ({values}, %(by)s, now())
"""


def set_guards(connection: Connection[Any], lender: str, guards: Guards, by: str) -> None:
    """Change the guards that are named, leave the others. A pause and the first day
    hold at once, also for a run that is going on; limits from the next run on."""
    names = list(guards)
    statement = sql.SQL(_SET).format(
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(map(sql.Placeholder, names)),
    )
    with connection.transaction():
        connection.execute(statement, {**guards, "lender": lender, "by": by})
        record(connection, by, "lender.guards", lender, **guards)
