"""Rows as the lines of a COPY in text format.

What belongs here: escaping, and which columns. What does not: reading the rows (`sources`), the
connection that they are copied over (`files`).

An empty text stands for null: no value that a file's row has is an empty one.
"""

import re
from collections.abc import Iterable

from repayment_platform.sources.file_rows import Landed, Refused

LANDED = """
COPY {} (file_id, row_number, cells, loan_ref, payment_ref, payment_date, presentation_date,
         amount, outcome, reason_code, reason_text, umrn, utr, method)
FROM STDIN (NULL '')
"""
REFUSED = """
COPY "CORE"."CORE_QUARANTINE"
    (raw_table, file_id, row_number, reason_code, reason, original, cells)
FROM STDIN (NULL '')
"""
_TABS = 13
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def landed_lines(file_id: int, rows: Iterable[Landed]) -> bytes:
    """The lines of rows that could be read."""
    lines = []
    for number, cells, payment in rows:
        loan, ref, day, presented, amount, outcome, code, reason, umrn, utr, method = payment
        # One text at once: this is done for every row of every file.
        line = (
            f"{file_id}\t{number}\t{cells}\t{loan or ''}\t{ref or ''}\t{day!s}\t{presented or ''!s}"
            f"\t{amount!s}\t{outcome!s}\t{code or ''}\t{reason or ''}\t{umrn or ''}\t{utr or ''}"
            f"\t{method or ''}"
        )
        # Nearly every line is as it must be.
        if "\\" in line or "\n" in line or "\r" in line or line.count("\t") != _TABS:
            values = ("" if value is None else str(value) for value in payment)
            line = "\t".join(map(_escaped, (str(file_id), str(number), cells, *values)))
        lines.append(line)
    return _encoded(lines)


def refused_lines(raw_table: str, file_id: int, rows: Iterable[Refused]) -> bytes:
    """The lines of rows that could not."""
    return _encoded(
        [
            "\t".join(
                map(_escaped, (raw_table, str(file_id), str(row.row_number), row.code.value,
                               row.reason, row.original or " ", row.cells or ""))
            )
            for row in rows
        ]
    )  # fmt: skip


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], text)


def _encoded(lines: list[str]) -> bytes:
    """What neither UTF-8 nor PostgreSQL can hold, half a character or a zero byte, is lost."""
    text = "\n".join([*lines, ""])
    return text.replace("\0", "").encode("utf-8", "replace")
