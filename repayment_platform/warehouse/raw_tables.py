"""What the database has of the registry: RAW tables, and which references are issued.

What belongs here: making the tables that the registry names from the two shapes of the first
migration, their rows in CORE_RAW_CUT, and CORE.is_issued. What does not: what is in them
(`landing`), and any other table (`migrations`).
"""

from typing import Any

from psycopg import Connection, sql

from repayment_platform.sources.registry import ISSUED_NAMESPACES, SOURCES, Kind, Source


def make_raw_tables(connection: Connection[Any]) -> None:
    """Make the missing tables; what exists stays as it is."""
    for source in SOURCES.values():
        _make(connection, source)


_IS_ISSUED = """
CREATE OR REPLACE FUNCTION "CORE".is_issued(payment_ref text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN split_part(payment_ref, ':', 1) IN ({})
"""


def make_is_issued(connection: Connection[Any]) -> None:
    """Make the function that tells whether a reference was given by a payment system, one for
    each payment: posting allows one repayment for each of these."""
    namespaces = sql.SQL(", ").join(map(sql.Literal, ISSUED_NAMESPACES))
    connection.execute(sql.SQL(_IS_ISSUED).format(namespaces))


_SETTLEMENTS = "CREATE INDEX IF NOT EXISTS {settlements} ON {table} {settled}"


def _tells_of_settlements(source: Source) -> bool:
    """Gateways announce payouts by webhook, and list their lines in files."""
    return source.kind is not Kind.FILE or source.settlement_layout is not None


def _make(connection: Connection[Any], source: Source) -> None:
    names = {
        "table": sql.Identifier("RAW", source.table),
        "shape": sql.Identifier("RAW", "_FILE" if source.kind is Kind.FILE else "_WEBHOOK"),
        "index": sql.Identifier(f"{source.table.lower()}_once"),
        "corrected": sql.Identifier(f"{source.table.lower()}_corrected"),
        # A delivery lands once, and so does a line of a file; replays name what they replace.
        "once": sql.SQL("file_id, row_number" if source.kind is Kind.FILE else "event_id"),
        # What replaces a row is found by its file, or by the row.
        "origin": sql.SQL("file_id" if source.kind is Kind.FILE else "replaces_id"),
        "settlements": sql.Identifier(f"{source.table.lower()}_settlements"),
        # A payout's lines are found by its UTR, what a gateway announces by the event's type.
        "settled": sql.SQL(
            "(utr) WHERE utr IS NOT NULL"
            if source.kind is Kind.FILE
            else "(id) WHERE lower(event_type) LIKE 'settlement%'"
        ),
    }
    for statement in (
        "CREATE TABLE IF NOT EXISTS {table} (LIKE {shape} INCLUDING ALL)",
        "CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {table} ({once}) WHERE replaces_id IS NULL",
        "CREATE INDEX IF NOT EXISTS {corrected} ON {table} ({origin})"
        " WHERE replaces_id IS NOT NULL",
        *([_SETTLEMENTS] if _tells_of_settlements(source) else []),
    ):
        connection.execute(sql.SQL(statement).format(**names))
    connection.execute(
        'INSERT INTO "CORE"."CORE_RAW_CUT" (raw_table) VALUES (%s) ON CONFLICT DO NOTHING',
        (source.table,),
    )
