"""Files of rows as lenders send them: CSV in several encodings, and XLSX.

What belongs here: rendering rows in a form, the damaged rows and the total row, counting. What
does not: what is in a row (`nach`, `lender_files`, `razorpay_reports`).

Rows are written as they come, so a file may be of any length, but where their sums stand above
them. XLSX is written by hand, without
compression and with fixed times, for the same bytes everywhere.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape
from zipfile import ZipFile, ZipInfo

from repayment_platform.sample_data.layouts import CASHFREE_DETAILS, CASHFREE_SETTLEMENTS, Form

DAMAGED_DATE_AT = 15
DAMAGED_AMOUNT_AT = 40
"""After this many rows of a file comes one that must be quarantined."""
NOT_AN_AMOUNT = "12,5OO.00"
NOT_A_DATE = "31/02/2026"

Cells = Sequence[Any]


class _Rows(Protocol):
    def write(self, cells: Cells) -> None: ...

    def close(self) -> None: ...


class PaymentFile:
    """One file of a form. The counts say what the loader must make of it."""

    def __init__(self, folder: Path, form: Form, period: int, day: date) -> None:
        name = form.file_name.format(day)
        if period in form.xlsx_periods:
            name = name.removesuffix(".csv") + ".xlsx"
        self.path = folder / name
        self.landed = 0
        self.quarantined = 0
        self._form = form
        self._total = Decimal(0)
        folder.mkdir(exist_ok=True)
        encoding = form.encodings[period % len(form.encodings)]
        self._rows: _Rows = (
            _XlsxRows(self.path) if name.endswith(".xlsx") else _CsvRows(self.path, form, encoding)
        )
        if form.below_settlements:
            self._rows = _BelowSettlements(self._rows)
        self._rows.write(list(form.columns))

    def add(self, fields: Mapping[str, Any]) -> None:
        """Write a row, and after some of them the same row again, damaged."""
        self.landed += 1
        self._write(fields, fields["amount"])
        if self.landed == DAMAGED_AMOUNT_AT:
            self._damage(fields, Decimal, NOT_AN_AMOUNT)
        elif self.landed == DAMAGED_DATE_AT:
            self._damage(fields, date, NOT_A_DATE)

    def close(self) -> None:
        if self._form.total:
            totals = {"serial": "Total", "amount": self._total}
            self._rows.write([totals.get(field, "") for field in self._form.columns.values()])
        self._rows.close()

    def _damage(self, fields: Mapping[str, Any], kind: type, text: str) -> None:
        damaged = {name: text if isinstance(v, kind) else v for name, v in fields.items()}
        self.quarantined += 1
        self._write(damaged, fields["amount"])

    def _write(self, fields: Mapping[str, Any], amount: Decimal) -> None:
        self._total += amount
        given = {
            **fields,
            "serial": str(self.landed + self.quarantined),
            "status": self._form.words.get(fields.get("status", "")),
        }
        values = map(given.get, self._form.columns.values())
        self._rows.write([self._form.empty if value in ("", None) else value for value in values])


class _CsvRows:
    def __init__(self, path: Path, form: Form, encoding: str) -> None:
        self._form = form
        self._stream = path.open("w", encoding=encoding, newline="")
        self._writer = csv.writer(self._stream)

    def write(self, cells: Cells) -> None:
        self._writer.writerow([self._text(cell) for cell in cells])

    def close(self) -> None:
        self._stream.close()

    def _text(self, cell: Any) -> str:
        if isinstance(cell, str):
            return cell
        if isinstance(cell, Decimal):
            return self._form.money(cell)
        return f"{cell:{self._form.times if isinstance(cell, datetime) else self._form.dates}}"


class _BelowSettlements:
    """Keeps rows until their sums are known, by UTR, and writes a table of these above them."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows
        self._waiting: list[Cells] = []

    def write(self, cells: Cells) -> None:
        self._waiting.append(cells)

    def close(self) -> None:
        header, *rows = self._waiting
        utr, net = header.index("UTR"), header.index("Event Settlement Amount")
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for cells in rows:
            if isinstance(cells[net], Decimal):
                sums[cells[utr]] += cells[net]
        names = CASHFREE_SETTLEMENTS.split(",")
        self._rows.write(names)
        for told in ({"UTR No.": utr, "Net Settlement Amount": each} for utr, each in sums.items()):
            self._rows.write([told.get(name, "") for name in names])
        for cells in ([], [], [CASHFREE_DETAILS], *self._waiting):
            self._rows.write(cells)
        self._rows.close()


class _XlsxRows:
    """A workbook of one sheet, with amounts as numbers and dates as days since 1899-12-30."""

    def __init__(self, path: Path) -> None:
        self._zip = ZipFile(path, "w")
        for name, content in _WORKBOOK.items():
            with self._zip.open(_entry(name), "w") as part:
                part.write((_XML + content).encode())
        self._sheet = self._zip.open(_entry("xl/worksheets/sheet1.xml"), "w")
        self._sheet.write(f"{_XML}<worksheet {_MAIN}><sheetData>".encode())

    def write(self, cells: Cells) -> None:
        self._sheet.write(f"<row>{''.join(map(_xlsx_cell, cells))}</row>".encode())

    def close(self) -> None:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()
        self._zip.close()


def _xlsx_cell(cell: Any) -> str:
    if isinstance(cell, Decimal):
        return f"<c><v>{cell}</v></c>"
    if isinstance(cell, date):
        return f'<c s="1"><v>{(cell - date(1899, 12, 30)).days}</v></c>'
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.create_system = 3
    return entry


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_FORMATS = "http://schemas.openxmlformats.org"
_MAIN = f'xmlns="{_FORMATS}/spreadsheetml/2006/main"'
_DOCUMENT = f"{_FORMATS}/officeDocument/2006/relationships"
_PACKAGE = f'xmlns="{_FORMATS}/package/2006/relationships"'
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_WORKBOOK = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_FORMATS}/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" '
        f'ContentType="{_TYPE}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships {_PACKAGE}><Relationship Id="rId1" '
        f'Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook {_MAIN} xmlns:r="{_DOCUMENT}"><sheets>'
        '<sheet name="Collection Update" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f"<Relationships {_PACKAGE}>"
        f'<Relationship Id="rId1" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_DOCUMENT}/styles" Target="styles.xml"/>'
        "</Relationships>"
    ),
    "xl/styles.xml": (
        f'<styleSheet {_MAIN}><fonts count="1"><font/></fonts>'
        '<fills count="1"><fill/></fills><borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf/></cellStyleXfs>'
        '<cellXfs count="2"><xf/><xf numFmtId="15" applyNumberFormat="1"/></cellXfs></styleSheet>'
    ),
}
