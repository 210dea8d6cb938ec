"""What must be true of every file, however damaged.

What belongs here: reading or landing one file, and the rules. What does not: making files.

Read without a database: the file is refused with a reason, or every row of it is either read or
refused with a reason, and what is read is what PostgreSQL can hold. Landed: the processing log,
RAW and the quarantine agree with each other, and nothing but a landed file leaves a row.
"""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult, FileStatus
from repayment_platform.sources.encodings import fingerprint
from repayment_platform.sources.file_rows import FileRows
from repayment_platform.sources.formats import open_table
from repayment_platform.sources.ids import LONGEST
from repayment_platform.sources.money import LIMIT
from repayment_platform.sources.refusals import FileRefused
from repayment_platform.sources.registry import source_named


class Violation(AssertionError):
    """A rule is broken; the message says which."""


def read(path: Path, source_id: str) -> Counter[str]:
    """Read a file as the loader does; counts what became of it and of its rows.

    Raises:
        Violation: a rule is broken.
        Exception: whatever the reading let through, which breaks the first of them.
    """
    source = source_named(source_id)
    found: Counter[str] = Counter()
    try:
        table = open_table(path, fingerprint(path), source.layouts)
        rows = FileRows(source, table)
        numbers: list[int] = []
        for batch in rows:
            for landed in batch.landed:
                numbers.append(landed.row_number)
                _check_payment(landed)
            for refused in batch.refused:
                numbers.append(refused.row_number)
                found[f"row {refused.code.value}"] += 1
                _must(bool(refused.reason), "a row is refused without a reason")
                _must("\0" not in refused.original, "a quarantined text has a zero byte")
            found["row landed"] += len(batch.landed)
    except FileRefused as refusal:
        _must(bool(refusal.reason), "a file is refused without a reason")
        return Counter({f"file {refusal.code.value}": 1})
    except UnicodeError:
        return Counter({"file UNREADABLE_FILE": 1})
    _must(len(numbers) == len(set(numbers)), "a line is a row twice")
    _must(rows.outcomes.total() == found["row landed"], "the outcomes do not count all rows")
    return found + Counter({"file landed": 1})


def _check_payment(landed: Any) -> None:
    payment = landed.payment
    cells = json.loads(landed.cells)
    _must(all(isinstance(cell, str) for cell in cells.values()), "a cell is no text")
    _must("\0" not in landed.cells and "\\u0000" not in landed.cells, "a cell has a zero byte")
    _must(isinstance(payment.amount, Decimal) and 0 <= payment.amount < LIMIT, "an odd amount")
    _must(payment.amount == round(payment.amount, 2), "an amount is not in whole paise")
    ids = (payment.loan_ref, payment.payment_ref, payment.umrn, payment.utr)
    _must(all(len(each or "") <= LONGEST for each in ids), "an id is longer than an index takes")


def land(
    connection: psycopg.Connection[Any], conninfo: str, path: Path, source_id: str
) -> FileResult:
    """Land a file and check that log, RAW and quarantine agree.

    Raises:
        Violation: a rule is broken.
        Exception: whatever the loader let through.
    """
    result = ingest_file(conninfo, path, source_id, received_by="fuzz")
    log = connection.execute(
        "SELECT status, error, duplicate_of, rows_read, rows_landed, rows_quarantined,"
        ' rows_duplicate FROM "CORE"."CORE_FILE_LOG" WHERE id = %s',
        (result.file_id,),
    ).fetchone()
    _must(log is not None, "the file is not in the log")
    status, error, duplicate_of, read_, landed, quarantined, duplicate = log  # type: ignore[misc]
    _must(status == result.status.value, "log and result differ")
    _must(read_ == landed + quarantined + duplicate, "the rows do not add up")
    in_raw = sql.SQL("SELECT count(*) FROM {} WHERE file_id = {}").format(
        sql.Identifier("RAW", source_named(source_id).table), result.file_id
    )
    in_quarantine = sql.SQL(
        'SELECT count(*) FROM "CORE"."CORE_QUARANTINE"'
        " WHERE file_id = {} AND reason_code <> '' AND reason <> ''"
    ).format(result.file_id)
    stored = [connection.execute(query).fetchone() for query in (in_raw, in_quarantine)]
    _must(stored == [(landed,), (quarantined,)], f"{stored} is stored, {log} logged")
    if status == FileStatus.FAILED:
        _must(bool(error) and result.reason_code is not None, "a failed file has no reason")
    if status != FileStatus.LANDED:
        _must(landed == quarantined == 0, "a file that did not land left rows")
    _must((duplicate_of is not None) == (status == FileStatus.DUPLICATE), "a duplicate of nothing")
    return result


def _must(holds: bool, rule: str) -> None:
    if not holds:
        raise Violation(rule)
