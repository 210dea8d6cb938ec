"""Rows as the lines of a COPY in text format.

What belongs here: escaping, and which columns. What does not: reading the rows (`sources`), the
connection that they are copied over (`files`).

An empty text stands for null: no value that a file's row has is an empty one.
"""

import re
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any

from repayment_platform.sources.file_rows import Landed, Refused

COLUMNS = """file_id, row_number, cells, loan_ref, payment_ref, payment_date, presentation_date,
    amount, outcome, reason_code, reason_text, umrn, utr, method"""
LANDED = f"COPY {{}} ({COLUMNS}) FROM STDIN (NULL '')"
REFUSED = """
COPY "CORE"."CORE_QUARANTINE"
    (raw_table, file_id, row_number, reason_code, reason, original, cells)
FROM STDIN (NULL '')
"""
_TABS = 13
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def landed_lines(file_id: int, rows: Sequence[Landed]) -> bytes:
    """The lines of rows that could be read; there is at least one."""
    numbers, cells, payments = zip(*rows, strict=True)
    # A column at once: this is done for every row of every file.
    columns = [
        (str(file_id),) * len(rows),
        tuple(map(str, numbers)),
        cells,
        *map(_texts, zip(*payments, strict=True)),
    ]
    text = "\n".join(map("\t".join, zip(*columns, strict=True)))
    # Nearly every line is as it must be.
    if (
        "\\" in text
        or "\r" in text
        or (text.count("\n"), text.count("\t"))
        != (
            len(rows) - 1,
            len(rows) * _TABS,
        )
    ):
        lines = zip(*(map(_escaped, column) for column in columns), strict=True)
        text = "\n".join(map("\t".join, lines))
    return _encoded(text)


def _texts(column: tuple[Any, ...]) -> Sequence[str]:
    """The values of a column as texts, an empty one for none."""
    kinds = set(map(type, column))
    if kinds <= {str, NoneType}:
        return [text or "" for text in column]
    if NoneType in kinds:
        return ["" if value is None else str(value) for value in column]
    return list(map(str, column))


def refused_lines(raw_table: str, file_id: int, rows: Iterable[Refused]) -> bytes:
    """The lines of rows that could not."""
    lines = [
        "\t".join(
            map(_escaped, (raw_table, str(file_id), str(row.row_number), row.code.value,
                           row.reason, row.original or " ", row.cells or ""))
        )
        for row in rows
    ]  # fmt: skip
    return _encoded("\n".join(lines))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], text)


def _encoded(text: str) -> bytes:
    """What neither UTF-8 nor PostgreSQL can hold, half a character or a zero byte, is lost."""
    return f"{text}\n".replace("\0", "").encode("utf-8", "replace")
