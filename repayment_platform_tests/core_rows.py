"""Rows of CORE, put there by hand in the tests of what comes after dbt.

What belongs here: the columns that a row must have though its reader looks at none of them. What
does not: the tables, which dbt itself has made.
"""

from typing import Any

from psycopg import Connection, sql

LANDED = "2026-11-20 10:00+05:30"
PAYMENT: dict[str, Any] = {
    "is_success": True,
    "outcome": "success",
    "refunded_amount": 0,
    "key_rule": "new",
    "observations": 1,
    "sources": ["RAW_UGRO_RAZORPAY_API"],
    "first_raw_id": 1,
    "last_raw_id": 1,
    "first_landed_at": LANDED,
    "last_landed_at": LANDED,
}
"""Of CORE_TRANSACTION_DATA."""
RECORD: dict[str, Any] = {
    "match_reason": "as the test has it",
    "payer_marks": [],
    "first_landed_at": LANDED,
    "last_landed_at": LANDED,
    "batch": 1,
}
"""Of CORE_RECON_RECORD."""


def insert(connection: Connection[Any], table: str, **row: Any) -> None:
    """Add a row to a table of CORE."""
    connection.execute(_insert(table, row), row)


def put_payment(connection: Connection[Any], **row: Any) -> None:
    """Add a payment to CORE_TRANSACTION_DATA, or change the columns that are given.

    A new one was reported on its day, unless the row says otherwise.
    """
    reported = f"{row.get('payment_date') or LANDED[:10]} 10:00+05:30"
    new = PAYMENT | {"first_landed_at": reported, "last_landed_at": reported} | row
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in row
    )
    statement = _insert("CORE_TRANSACTION_DATA", new)
    statement += sql.SQL(" ON CONFLICT (source_key) DO UPDATE SET {}").format(changes)
    connection.execute(statement, new)


def _insert(table: str, row: dict[str, Any]) -> sql.Composed:
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier("CORE", table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
