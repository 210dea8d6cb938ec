"""A corrected file in the place of an earlier one.

What belongs here: whether a file may be superseded, and which row of the new one stands for
which row of the old. What does not: what changes by it (`changes`), the file itself (`files`).

That the file is a correction is the operator's word, so a row that has a counterpart keeps that
row's payment while its reference, own UTR or day is still equal: a payment that was posted is
then changed, for a person to see. Where all three are others a person is asked, and nothing is
posted beside it meanwhile (docs/payments.md). Counterparts are found by `EVIDENCE`.
"""

from typing import Any, LiteralString

from psycopg import Connection, sql

from repayment_platform.landing.changes import Changes, append_changes, load_standing, prepare
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import LENDERS, Source
from repayment_platform.sources.rows import Payment

EVIDENCE: tuple[tuple[str, ...], ...] = (
    ("cells", *Payment._fields),
    ("payment_ref", "outcome", "loan", "payment_date", "amount"),
    ("payment_ref", "outcome"),
    ("payment_ref",),
    ("loan", "umrn", "utr", "payment_date", "amount"),
    ("loan", "umrn", "utr", "payment_date"),
    ("loan", "umrn", "utr", "amount"),
    ("umrn", "payment_ref", "payment_date", "amount"),
    ("utr", "payment_ref", "payment_date", "amount"),
    ("loan", "outcome"),
    ("loan",),
)
"""What two rows must have in common, the strongest first; never the first of them empty. Rows
that are equal in it are paired in their order, what was paired before is not paired again. A row of
another loan with a reference of its own is another payment."""

_ABOUT = """
SELECT f.raw_table, f.status, f.duplicate_of, later.id
FROM "CORE"."CORE_FILE_LOG" f
LEFT JOIN "CORE"."CORE_FILE_LOG" later ON later.supersedes = f.id AND later.status = 'landed'
WHERE f.id = %s
"""
_MARK = 'UPDATE "CORE"."CORE_FILE_LOG" SET supersedes = %s WHERE id = %s'
_LOAN: LiteralString = """
ALTER TABLE {table} ADD COLUMN loan text;
UPDATE {table} SET loan = coalesce(substring(upper(loan_ref) FROM {pattern}), loan_ref)
"""
_PAIR: LiteralString = """
INSERT INTO pairs
SELECT s.first_id, a.id
FROM (
    SELECT first_id, ROW({evidence})::text AS evidence,
        row_number() OVER (PARTITION BY ROW({evidence})::text ORDER BY row_number, first_id) AS nth
    FROM standing o
    WHERE {first} IS NOT NULL
        AND NOT EXISTS (SELECT FROM pairs p WHERE p.first_id = o.first_id)
) s
JOIN (
    SELECT id, ROW({evidence})::text AS evidence,
        row_number() OVER (PARTITION BY ROW({evidence})::text ORDER BY row_number, id) AS nth
    FROM arrived o
    WHERE {first} IS NOT NULL
        AND NOT EXISTS (SELECT FROM pairs p WHERE p.arrived_id = o.id)
) a USING (evidence, nth)
"""
# Of several old rows of one payment the new file may have fewer: what it has stands for all of
# them. Withdrawing one would withdraw the payment.
_PAIR_SAME_PAYMENT = """
INSERT INTO pairs
SELECT s.first_id, a.id
FROM standing s
JOIN (
    SELECT DISTINCT ON (payment_ref) payment_ref, id FROM arrived
    WHERE payment_ref IS NOT NULL ORDER BY payment_ref, id
) a USING (payment_ref)
WHERE NOT EXISTS (SELECT FROM pairs p WHERE p.first_id = s.first_id)
"""


def begin_superseding(
    connection: Connection[Any], source: Source, file_id: int, supersedes: int
) -> None:
    """Note in the landing transaction that the file takes the place of another; its rows are to
    be stored in `changes.ARRIVED`.

    Raises:
        FileRefused: CANNOT_SUPERSEDE; the message says which file to name instead, if any.
    """
    prepare(connection, source)
    problem = _problem(connection.execute(_ABOUT, (supersedes,)).fetchone(), source, supersedes)
    if problem:
        raise FileRefused(FileReason.CANNOT_SUPERSEDE, problem)
    connection.execute(_MARK, (supersedes, file_id))


def _problem(about: tuple[Any, ...] | None, source: Source, file_id: int) -> str | None:
    if about is None:
        return f"there is no file {file_id}"
    table, status, duplicate_of, later = about
    if table != source.table:
        return f"file {file_id} is of {table or 'an unknown source'}, not of {source.table}"
    if duplicate_of is not None:
        return f"file {file_id} is a duplicate; supersede file {duplicate_of}, which landed"
    if status != "landed":
        return f"file {file_id} is {status} and has no rows to supersede; send the new file alone"
    if later is not None:
        return f"file {file_id} is superseded by file {later} already; supersede that one"
    return None


def supersede(
    connection: Connection[Any], source: Source, file_id: int, supersedes: int
) -> Changes:
    """Pair the rows in `changes.ARRIVED` with those of the superseded file; land what is new."""
    load_standing(connection, source, supersedes)
    pattern = sql.Literal(LENDERS[source.lender].loan_id_pattern)
    for table in ("standing", "arrived"):
        named = sql.Identifier("pg_temp", table)
        connection.execute(sql.SQL(_LOAN).format(table=named, pattern=pattern))
    for columns in EVIDENCE:
        evidence = sql.SQL(", ").join(map(sql.Identifier, columns))
        connection.execute(
            sql.SQL(_PAIR).format(evidence=evidence, first=sql.Identifier(columns[0]))
        )
        connection.execute("ANALYZE pairs")
    connection.execute(_PAIR_SAME_PAYMENT)
    return append_changes(connection, source, withdraw_as=file_id)


def check_nothing_missing(changes: Changes | None, quarantined: int) -> None:
    """A row that cannot be read may be the one that is missing: its payment is not withdrawn
    without a person's word.

    Raises:
        FileRefused: ROWS_MISSING; the earlier file stays in force.
    """
    if changes and changes.withdrawn:
        raise FileRefused(
            FileReason.ROWS_MISSING,
            f"rows of the earlier file are missing ({changes.withdrawn}) while others cannot be "
            f"read ({quarantined}) and may be these; preview it and correct them, or confirm "
            "that what is missing is withdrawn (--withdraw-missing)",
        )
