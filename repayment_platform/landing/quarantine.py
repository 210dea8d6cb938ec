"""CORE_QUARANTINE for files: rows that are not landed, each with its reason and its text.

What belongs here: counting them. What does not: deciding that a row is bad, which `sources` does,
and putting it there (`files`), but for one fault that shows only when all rows of the file are
there: a reference that is not one payment's.
"""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import Connection, sql

from repayment_platform.landing.results import QuarantinedRow
from repayment_platform.sources.refusals import RowReason
from repayment_platform.sources.registry import LENDERS, Source

EXAMPLES = 100

_COUNT = """
SELECT reason_code, count(*) FROM "CORE"."CORE_QUARANTINE" WHERE file_id = %s
GROUP BY reason_code ORDER BY 2 DESC, 1
"""
_EXAMPLES = """
SELECT row_number, reason_code, reason, original FROM "CORE"."CORE_QUARANTINE"
WHERE file_id = %s ORDER BY row_number LIMIT %s
"""
# References that stand alone, nearly all, are set aside before anything is compared. What takes
# money back is left out of the comparison: it may be a part of a payment, and not name the loan.
_SHARED_REFERENCES: LiteralString = """
repeated AS (
    SELECT payment_ref
    FROM {rows}
    WHERE file_id = ANY(%(file_ids)s) AND payment_ref IS NOT NULL
        AND outcome NOT IN ('refund', 'late_return')
    GROUP BY payment_ref
    HAVING count(*) > 1
),
shared AS (
    SELECT payment_ref
    FROM {rows} JOIN repeated USING (payment_ref)
    WHERE file_id = ANY(%(file_ids)s) AND outcome NOT IN ('refund', 'late_return')
    GROUP BY payment_ref
    HAVING count(DISTINCT amount) > 1
        OR count(DISTINCT coalesce(substring(upper(loan_ref) FROM %(loan)s), loan_ref)) > 1
)
"""
_MOVE_SHARED_REFERENCES: LiteralString = (
    f"WITH {_SHARED_REFERENCES},"  # noqa: S608 - constants of ours
    """
moved AS (
    DELETE FROM {rows} r USING shared s
    WHERE r.file_id = %(file_id)s AND r.payment_ref = s.payment_ref
    RETURNING r.row_number, r.cells, r.payment_ref, r.outcome
),
entered AS (
    INSERT INTO "CORE"."CORE_QUARANTINE"
        (raw_table, file_id, row_number, reason_code, reason, original, cells)
    SELECT %(table)s, %(file_id)s, row_number, %(code)s,
        'other rows of the file have the reference ' || payment_ref
        || ' with another loan or amount', cells::text, cells
    FROM moved
)
SELECT outcome, count(*) FROM moved GROUP BY outcome
"""
)
_DROP_SHARED_REFERENCES: LiteralString = (
    f"WITH {_SHARED_REFERENCES}"  # noqa: S608 - constants of ours
    """
DELETE FROM {rows} r USING shared s WHERE r.payment_ref = s.payment_ref
RETURNING r.replaces_id
"""
)


def move_shared_references(
    connection: Connection[Any], source: Source, file_id: int, rows: sql.Identifier
) -> dict[str, int]:
    """Quarantine the rows of a file, in the table `rows`, whose reference stands for two payments.

    Such a reference is not per payment after all; downstream it would make one repayment out
    of several. Equal rows that repeat a reference are reports of one payment and stay.
    Returns how many rows were taken out again, by outcome.
    """
    parameters = {
        "file_id": file_id,
        "file_ids": [file_id],
        "table": source.table,
        "code": RowReason.REFERENCE_NOT_UNIQUE.value,
        "loan": LENDERS[source.lender].loan_id_pattern,
    }
    return dict(_compare(connection, _MOVE_SHARED_REFERENCES, rows, parameters))


def drop_shared_references(
    connection: Connection[Any], source: Source, file_ids: Sequence[int], rows: sql.Identifier
) -> list[int | None]:
    """Remove such rows from the table `rows`; returns for each the row that it would replace."""
    parameters = {
        "file_ids": list(file_ids),
        "loan": LENDERS[source.lender].loan_id_pattern,
    }
    return [row for (row,) in _compare(connection, _DROP_SHARED_REFERENCES, rows, parameters)]


def _compare(
    connection: Connection[Any],
    statement: LiteralString,
    rows: sql.Identifier,
    parameters: dict[str, Any],
) -> list[tuple[Any, ...]]:
    # The planner knows nothing of rows this new and would compare every one with every other.
    connection.execute("SET LOCAL enable_nestloop = off")
    done = connection.execute(sql.SQL(statement).format(rows=rows), parameters).fetchall()
    connection.execute("SET LOCAL enable_nestloop TO DEFAULT")
    return done


def reasons(connection: Connection[Any], file_id: int) -> dict[str, int]:
    """Quarantined rows of a file by reason code, the most frequent first."""
    return dict(connection.execute(_COUNT, (file_id,)).fetchall())


def examples(connection: Connection[Any], file_id: int) -> list[QuarantinedRow]:
    """The first `EXAMPLES` quarantined rows of a file."""
    found = connection.execute(_EXAMPLES, (file_id, EXAMPLES)).fetchall()
    return [QuarantinedRow(*row) for row in found]
