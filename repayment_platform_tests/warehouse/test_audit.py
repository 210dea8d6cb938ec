from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from repayment_platform.warehouse.audit import record


def test_a_row_says_who_did_what_to_what_with_amounts_and_dates_as_text(
    connection: psycopg.Connection[Any],
) -> None:
    record(
        connection,
        "asha",
        "hold.release",
        "k1",
        why="seen",
        amount=Decimal("1.10"),
        day=date(2026, 1, 2),
    )
    row = connection.execute('SELECT who, action, subject, detail FROM "CORE"."CORE_AUDIT_LOG"')
    detail = {"why": "seen", "amount": "1.10", "day": "2026-01-02"}
    assert row.fetchall() == [("asha", "hold.release", "k1", detail)]


@pytest.mark.parametrize(
    "change",
    [
        """UPDATE "CORE"."CORE_AUDIT_LOG" SET who = 'another'""",
        'DELETE FROM "CORE"."CORE_AUDIT_LOG"',
        'TRUNCATE "CORE"."CORE_AUDIT_LOG"',
    ],
)
def test_the_database_refuses_to_change_the_log(
    connection: psycopg.Connection[Any], change: str
) -> None:
    record(connection, "asha", "hold.release", "k1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only grows"):
        connection.execute(change)  # type: ignore[call-overload]
    assert connection.execute('SELECT count(*) FROM "CORE"."CORE_AUDIT_LOG"').fetchone() == (1,)
