"""Workbooks (XLSX, XLSM, old XLS) as rows of text.

What belongs here: knowing what kind of workbook a file is, and turning typed cells back into the
text a person sees in them. What does not: the parts of an XLSX (`xlsx`), finding the header.
"""

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.xlsx import Row, Workbook

MOST_UNPACKED = 4 << 30
"""Bytes that a workbook may hold when unpacked. Excel's own limits come first for any real one."""
_OTHERS = {
    "xl/workbook.bin": "a binary workbook; open it in Excel, save it as XLSX, and send that",
    "content.xml": "an OpenDocument file; save it as XLSX or CSV, and send that",
    "word/document.xml": "a Word document; send the table as XLSX or CSV",
}
_DAMAGED = (
    "the workbook is damaged, not complete, or of a kind that cannot be read; open it in Excel, "
    "save it as XLSX or CSV, and send that"
)
_PASSWORD = "the file has a password; take it off and send it again"  # noqa: S105
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
"""Where an XLSX has a password, it stands in a container of the old kind under this name."""


class Sheets(Protocol):
    """A workbook of any kind."""

    sheets: list[str]

    def rows(self, sheet: str) -> Iterator[Row]: ...


def open_workbook(path: Path, head: bytes) -> Sheets:
    """The workbook in a file that begins with `head`.

    Raises:
        FileRefused: PASSWORD, TOO_LARGE, or NOT_A_TABLE when it is no workbook or a damaged one.
    """
    if head.startswith(b"PK"):
        _check_parts(path)
        return _Told(Workbook, path)
    return _Told(_OldWorkbook, path)


def _check_parts(path: Path) -> None:
    """Refuse an archive that is no XLSX, or one with a password or more in it than can be."""
    try:
        with ZipFile(path) as archive:
            parts = archive.infolist()
    except BadZipFile as error:
        raise FileRefused(FileReason.NOT_A_TABLE, _DAMAGED) from error
    names = {part.filename.lower() for part in parts}
    if any(part.flag_bits & 1 for part in parts):
        raise FileRefused(FileReason.PASSWORD, _PASSWORD)
    if (size := sum(part.file_size for part in parts)) > MOST_UNPACKED:
        raise FileRefused(
            FileReason.TOO_LARGE,
            f"it unpacks to {size >> 20:,} MB, more than any payment file holds; save the sheet "
            "with the payments as CSV and send that",
        )
    if "xl/workbook.xml" in names:
        return
    kind = next(
        (words for part, words in _OTHERS.items() if part in names),
        "a ZIP archive; unpack it and send the file that is in it",
    )
    raise FileRefused(FileReason.NOT_A_TABLE, f"the file is {kind}")


class _Told:
    """A workbook whose damage is told in words, whatever the library that reads it makes of it."""

    def __init__(self, kind: type[Workbook] | type["_OldWorkbook"], path: Path) -> None:
        with _in_words():
            self._book = kind(path)
        self.sheets = self._book.sheets

    def rows(self, sheet: str) -> Iterator[Row]:
        with _in_words():
            yield from self._book.rows(sheet)


class _in_words:  # noqa: N801 - used like the functions of contextlib
    """What a library raises becomes a refusal. One raises no Exception when it panics."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: Any, _: object) -> None:
        own = (FileRefused, MemoryError, OSError, GeneratorExit, KeyboardInterrupt, SystemExit)
        if kind is None or issubclass(kind, own):
            return
        if "encrypted" in str(error).lower():
            raise FileRefused(FileReason.PASSWORD, _PASSWORD) from error
        raise FileRefused(FileReason.NOT_A_TABLE, _DAMAGED) from error


class _OldWorkbook:
    """An old XLS, whose sheets have at most 65,536 rows and are read whole."""

    def __init__(self, path: Path) -> None:
        import pandas  # half a second, which whoever reads no such workbook need not wait

        if _ENCRYPTED in path.read_bytes():
            raise FileRefused(FileReason.PASSWORD, _PASSWORD)
        self._read = pandas.read_excel
        self._book = pandas.ExcelFile(path, engine="xlrd")
        self.sheets = [str(name) for name in self._book.sheet_names]

    def rows(self, sheet: str) -> Iterator[Row]:
        frame = self._read(self._book, sheet, header=None, dtype=object, na_filter=False)
        for number, row in enumerate(frame.itertuples(index=False), start=1):
            texts = [_text(value) for value in row]
            if any(map(str.strip, texts)):
                yield number, texts


def _text(value: Any) -> str:
    """A cell's text: dates in ISO form, and 15 digits of a number, which is all Excel keeps.

    A longer number comes out as `5.30112345678901E+17`, and is known for damaged by that.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if value != value:
        return "#ERROR!"
    if isinstance(value, int | float):
        return f"{value:.15G}"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)
