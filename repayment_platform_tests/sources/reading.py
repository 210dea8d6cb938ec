"""Reading made-up files in tests as the loader reads real ones, without a database.

What belongs here: writing bytes to a file and collecting what is read from it, and a short
NACH file to change. What does not: expectations.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repayment_platform.sources.encodings import fingerprint
from repayment_platform.sources.file_rows import FileRows, Landed, Refused
from repayment_platform.sources.formats import Table, open_table
from repayment_platform.sources.registry import Source, source_named
from repayment_platform.sources.rows import Payment

SAMPLES = Path(__file__).parents[1] / "samples"
HEADER = (
    "Loan Account Number", "UMRN", "Settlement Date", "Amount", "Status", "Reason Code",
    "Reason", "UTR", "Presentation Reference",
)  # fmt: skip
GOOD = {
    "Loan Account Number": "DMI-APP-1",
    "UMRN": "HDFC7011311230001234",
    "Settlement Date": "06/11/2025",
    "Amount": "500.00",
    "Status": "SUCCESS",
    "Reason Code": "",
    "Reason": "",
    "UTR": "ICIC531012345678",
    "Presentation Reference": "NPT1",
}
NACH = "RAW_DMI_NACH_CSV"


@dataclass
class Read:
    """What was read from a file."""

    table: Table
    landed: list[Landed]
    refused: list[Refused]
    totals: dict[str, Any]
    columns: list[str]

    @property
    def payments(self) -> list[Payment]:
        return [row.payment for row in self.landed]

    @property
    def codes(self) -> list[str]:
        return [row.code.value for row in self.refused]

    def cells(self, index: int = 0) -> dict[str, str]:
        return json.loads(self.landed[index].cells)


def row(**changes: str) -> list[str]:
    """A good row with some cells changed; `Loan_Account_Number` stands for that header."""
    return list((GOOD | {name.replace("_", " "): cell for name, cell in changes.items()}).values())


def text_of(*rows: Sequence[str], header: Sequence[str] = HEADER, delimiter: str = ",") -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows([header, *rows])
    return stream.getvalue()


def read(path: Path, source: str | Source = NACH) -> Read:
    """Read a file that is there."""
    if isinstance(source, str):
        source = source_named(source)
    table = open_table(path, fingerprint(path), source.layouts)
    rows = FileRows(source, table)
    batches = list(rows)
    return Read(
        table,
        [each for batch in batches for each in batch.landed],
        sorted(each for batch in batches for each in batch.refused),
        rows.totals.as_json(),
        list(rows.columns),
    )


def read_text(
    folder: Path, text: str | bytes, source: str | Source = NACH, encoding: str = "utf-8"
) -> Read:
    """Write a file and read it."""
    path = folder / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read(path, source)
