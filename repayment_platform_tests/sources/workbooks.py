"""The smallest XLSX that Excel would open, written by hand: text, numbers and days.

What belongs here: putting typed cells into a workbook for tests. What does not: reading them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from string import ascii_uppercase
from xml.sax.saxutils import escape
from zipfile import ZipFile


@dataclass(frozen=True)
class Raw:
    """A cell as it stands in the XML: its attributes, and what is in it."""

    attributes: str
    inner: str


Cell = str | int | float | date | Raw | None
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOC = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
# The second cell format is the built-in date format 14.
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
    names, related = [], []
    with ZipFile(path, "w") as book:
        for number, (name, rows) in enumerate(sheets.items(), start=1):
            names.append(f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>')
            related.append(_relation(f"r{number}", "worksheet", f"worksheets/sheet{number}.xml"))
            lines = "".join(
                f'<row r="{at}">{"".join(_cell(value, at, n) for n, value in enumerate(row))}</row>'
                for at, row in enumerate(rows, start=1)
            )
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>',
            )
        related.append(_relation("styles", "styles", "styles.xml"))
        book.writestr("xl/styles.xml", _STYLES)
        book.writestr("xl/_rels/workbook.xml.rels", _relations(related))
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOC}"><sheets>{"".join(names)}</sheets>'
            "</workbook>",
        )
        book.writestr(
            "_rels/.rels", _relations([_relation("r1", "officeDocument", "xl/workbook.xml")])
        )


def _cell(value: Cell, row: int, column: int) -> str:
    letters = ("", *ascii_uppercase)[column // 26] + ascii_uppercase[column % 26]
    place = f'r="{letters}{row}"'
    if value is None:
        return f"<c {place}/>"
    if isinstance(value, Raw):
        return f"<c {place} {value.attributes}>{value.inner}</c>"
    if isinstance(value, str):
        return f'<c {place} t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    if isinstance(value, date):
        return f'<c {place} s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    return f"<c {place}><v>{value!r}</v></c>"


def _relation(name: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{name}" Type="{_DOC}/{kind}" Target="{target}"/>'


def _relations(parts: Sequence[str]) -> str:
    return f'<Relationships xmlns="{_PACKAGE}">{"".join(parts)}</Relationships>'
