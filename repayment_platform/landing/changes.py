"""What rows that arrive again change of the rows that stand: found out, told, and appended.

What belongs here: comparing rows with those they take the place of, and the rows that RAW is
given for it. What does not: which row takes whose place (`superseding` for a corrected file,
`replay` for a corrected mapping), what becomes of the payments (dbt, by `replaces_id`).

RAW is immutable. A row that changed lands again and names the row it replaces, always the
first of those that stand for one another; a row that is gone is replaced by a copy of itself
with the outcome `withdrawn`; a row that says nothing new lands nothing.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, LiteralString

from psycopg import Connection, sql

from repayment_platform.sources.layouts import Outcome
from repayment_platform.sources.registry import Source
from repayment_platform.sources.rows import Payment
from repayment_platform.warehouse.advisory import alone_with
from repayment_platform.warehouse.statements import statement

ARRIVED = sql.Identifier("pg_temp", "arrived")
"""Rows to be compared. Their ids only tell them apart: RAW draws its own when they land."""
EXAMPLES = 100
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, Payment._fields))


class ChangeKind(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    """The loan, the reference, the day, the amount or the outcome is another."""
    WITHDRAWN = "withdrawn"
    RESTATED = "restated"
    """The payment is the same, something else in its row is not."""


@dataclass(frozen=True)
class Facts:
    """What a row says of its payment."""

    loan_ref: str | None
    payment_ref: str | None
    payment_date: date
    amount: Decimal
    """Rupees."""
    outcome: str


@dataclass(frozen=True)
class Change:
    """One row that says something new, or is gone."""

    kind: ChangeKind
    row_number: int
    """Line of the file that brought the change; of a withdrawn row, of the file it was in."""
    old: Facts | None
    new: Facts | None
    source_key: str | None
    """The payment that the old row belongs to, where CORE has given it its key."""
    posting: str | None
    """`posted`, `undone`, or the payment's state in the list of open work."""
    becomes_exception: bool
    """It is posted, and what was posted is no longer what its sources say."""


@dataclass(frozen=True)
class Changes:
    """What changed, in numbers of rows, and the first of them, exceptions before all others."""

    added: int = 0
    changed: int = 0
    withdrawn: int = 0
    restated: int = 0
    unchanged: int = 0
    exceptions: int = 0
    """Rows changed or withdrawn whose payment is posted: each goes to a person."""
    examples: list[Change] = field(default_factory=list)

    def __add__(self, other: "Changes") -> "Changes":
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        examples = sorted(
            [*self.examples, *other.examples], key=lambda change: not change.becomes_exception
        )
        return Changes(**counts, examples=examples[:EXAMPLES])


_COUNTS = ("added", "changed", "withdrawn", "restated", "unchanged", "exceptions")
_ARRIVED = """
CREATE TEMP TABLE arrived (LIKE "RAW"."_FILE" INCLUDING DEFAULTS) ON COMMIT DROP;
CREATE TEMP TABLE pairs (first_id bigint NOT NULL, arrived_id bigint NOT NULL) ON COMMIT DROP
"""
# Both branches have an index: on the lines of a file, and on what replaces some of them.
_STANDING: LiteralString = """
CREATE TEMP TABLE standing ON COMMIT DROP AS
WITH RECURSIVE lineage AS (
    SELECT id, supersedes FROM "CORE"."CORE_FILE_LOG" WHERE id = {file_id}
    UNION ALL
    SELECT earlier.id, earlier.supersedes
    FROM lineage JOIN "CORE"."CORE_FILE_LOG" earlier ON earlier.id = lineage.supersedes
)
SELECT DISTINCT ON (first_id)
    coalesce(replaces_id, id) AS first_id, file_id, row_number, cells, {columns}
FROM (
    SELECT * FROM {raw} WHERE replaces_id IS NULL AND file_id IN (SELECT id FROM lineage)
    UNION ALL
    SELECT * FROM {raw} WHERE replaces_id IS NOT NULL AND file_id IN (SELECT id FROM lineage)
) of_lineage
ORDER BY first_id, id DESC
"""
_FIND: LiteralString = """
CREATE TEMP TABLE changes ON COMMIT DROP AS
SELECT
    CASE
        WHEN s.first_id IS NULL THEN 'added'
        WHEN a.id IS NULL THEN 'withdrawn'
        WHEN (a.loan_ref, a.payment_ref, a.payment_date, a.amount, a.outcome) IS DISTINCT FROM
            (s.loan_ref, s.payment_ref, s.payment_date, s.amount, s.outcome) THEN 'changed'
        ELSE 'restated'
    END AS kind,
    a.id AS arrived_id, s.first_id, coalesce(a.row_number, s.row_number) AS row_number,
    s.loan_ref AS old_loan, s.payment_ref AS old_ref, s.payment_date AS old_date,
    s.amount AS old_amount, s.outcome AS old_outcome,
    a.loan_ref AS new_loan, a.payment_ref AS new_ref, a.payment_date AS new_date,
    a.amount AS new_amount, a.outcome AS new_outcome,
    null::text AS source_key, null::text AS posting, false AS becomes_exception
FROM arrived a
LEFT JOIN pairs p ON p.arrived_id = a.id
{join} JOIN standing s ON s.first_id = p.first_id
WHERE CASE
    WHEN a.id IS NULL THEN s.outcome <> 'withdrawn'
    WHEN s.first_id IS NULL THEN true
    ELSE (a.cells, {arrived}) IS DISTINCT FROM (s.cells, {standing})
END;
ANALYZE changes
"""
_LOOK_UP_POSTING = statement(__file__, "look_up_posting.sql")
_APPEND: LiteralString = """
INSERT INTO {raw} (file_id, row_number, cells, {columns}, replaces_id)
SELECT a.file_id, a.row_number, a.cells, {arrived}, c.first_id
FROM changes c JOIN arrived a ON a.id = c.arrived_id
ORDER BY a.id, c.first_id
"""
_WITHDRAW: LiteralString = """
INSERT INTO {raw} (file_id, row_number, cells, {columns}, replaces_id)
SELECT {file_id}, s.row_number, s.cells, {withdrawn}, s.first_id
FROM changes c JOIN standing s USING (first_id)
WHERE c.kind = 'withdrawn'
ORDER BY s.first_id
"""
_COUNT = """
SELECT
    count(*) FILTER (WHERE kind = 'added'), count(*) FILTER (WHERE kind = 'changed'),
    count(*) FILTER (WHERE kind = 'withdrawn'), count(*) FILTER (WHERE kind = 'restated'),
    (SELECT count(*) FROM arrived) - count(DISTINCT arrived_id),
    count(*) FILTER (WHERE becomes_exception)
FROM changes
"""
_EXAMPLES = """
SELECT kind, row_number, old_loan, old_ref, old_date, old_amount, old_outcome,
    new_loan, new_ref, new_date, new_amount, new_outcome, source_key, posting, becomes_exception
FROM changes WHERE kind <> 'restated'
ORDER BY becomes_exception DESC, posting NULLS LAST, row_number LIMIT %s
"""


def prepare(connection: Connection[Any], source: Source) -> None:
    """Make the empty `arrived`; one correction of a source at a time, until this one commits."""
    alone_with(connection, source.table)
    connection.execute(_ARRIVED)


def load_standing(connection: Connection[Any], source: Source, file_id: int) -> None:
    """Make `standing`: the rows in force of a file and of those that it supersedes, withdrawn
    ones among them."""
    query = sql.SQL(_STANDING).format(
        file_id=sql.Literal(file_id), columns=_COLUMNS, raw=sql.Identifier("RAW", source.table)
    )
    connection.execute(query)
    connection.execute("ANALYZE standing; ANALYZE arrived")


def append_changes(
    connection: Connection[Any], source: Source, *, withdraw_as: int | None = None
) -> Changes:
    """Compare each row of `arrived` with the row of `standing` that `pairs` gives it, and land
    what is new. With `withdraw_as`, the id of a file, rows without a pair are withdrawn by it.
    """
    names = {
        "raw": sql.Identifier("RAW", source.table),
        "columns": _COLUMNS,
        "arrived": _of("a"),
        "standing": _of("s"),
        "join": sql.SQL("LEFT" if withdraw_as is None else "FULL"),
    }
    connection.execute(sql.SQL(_FIND).format(**names))
    connection.execute(_LOOK_UP_POSTING)
    connection.execute(sql.SQL(_APPEND).format(**names))
    if withdraw_as is not None:
        withdrawn = _of("s", outcome=sql.Literal(Outcome.WITHDRAWN.value))
        query = sql.SQL(_WITHDRAW).format(
            **names, file_id=sql.Literal(withdraw_as), withdrawn=withdrawn
        )
        connection.execute(query)
    return _summary(connection)


def _of(table: str, **instead: sql.Composable) -> sql.Composed:
    """The columns of a payment, each of `table` but for those given."""
    return sql.SQL(", ").join(
        instead.get(name, sql.Identifier(table, name)) for name in Payment._fields
    )


def _summary(connection: Connection[Any]) -> Changes:
    counts = connection.execute(_COUNT).fetchone()
    assert counts is not None  # noqa: S101 - an aggregate gives a row
    rows = connection.execute(_EXAMPLES, (EXAMPLES,)).fetchall()
    examples = [_change(*row) for row in rows]
    return Changes(**dict(zip(_COUNTS, counts, strict=True)), examples=examples)


def _change(kind: str, row_number: int, *told: Any) -> Change:
    old, new, posting = told[:5], told[5:10], told[10:]
    return Change(ChangeKind(kind), row_number, _facts(old), _facts(new), *posting)


def _facts(values: tuple[Any, ...]) -> Facts | None:
    return Facts(*values) if values[-1] is not None else None
