"""What stands in the tables that files land in.

What belongs here: reading them. What does not: expectations.
"""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from repayment_platform_tests.sources.reading import NACH

Connection = psycopg.Connection[Any]
Row = dict[str, Any]


def rows_of(connection: Connection, table: str) -> list[Row]:
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()


def raw(connection: Connection, table: str = NACH) -> list[Row]:
    return rows_of(connection, f'"RAW"."{table}"')


def log(connection: Connection) -> list[Row]:
    return rows_of(connection, '"CORE"."CORE_FILE_LOG"')


def quarantine(connection: Connection) -> list[Row]:
    return rows_of(connection, '"CORE"."CORE_QUARANTINE"')


def standing(connection: Connection, table: str = NACH) -> list[Row]:
    """The rows in force: the last of those that stand for one another, none withdrawn."""
    last = {row["replaces_id"] or row["id"]: row for row in raw(connection, table)}
    return [row for row in last.values() if row["outcome"] != "withdrawn"]
