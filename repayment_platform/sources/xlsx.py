"""XLSX and XLSM, read cell by cell: what a sheet holds, never as large as it says it is.

What belongs here: the parts of such a file, and the text of each cell that is there. What does not:
other workbooks (`sheets`), finding the header.

Rows come as they are read, with the cells that they have: a single cell in the last row and column
costs no more than any other. Formulas and errors are shown as such, because a formula without its
value, and an error, are damage and not an empty cell. Macros are never looked at.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat
from zipfile import ZipFile

from repayment_platform.sources.refusals import FileReason, FileRefused

Row = tuple[int, list[str]]
"""Number of a row in its sheet, and its cells from column A on."""

_PIECE = 1 << 16
_LONGEST_CELL = 1 << 16
"""Characters; Excel ends at half of that."""
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]*)")
_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_NOT_OF_A_DATE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel's dates have no zone
_LAST_SERIAL = 2_958_465


class Workbook:
    """An opened file; `sheets` are the names of its worksheets, in their order."""

    def __init__(self, path: Path) -> None:
        """Raises:
        Exception: of the zip or of its XML, when the file is damaged.
        """
        self._zip = ZipFile(path)
        self._names = {name.lower(): name for name in self._zip.namelist()}
        book = _Collected(self._part("xl/workbook.xml"))
        related = {
            attributes["Id"]: attributes
            for _, attributes in _Collected(self._part("xl/_rels/workbook.xml.rels")).named(
                "Relationship"
            )
        }
        self._paths: dict[str, str] = {}
        for _, sheet in book.named("sheet"):
            relation = related[next(v for k, v in sheet.items() if k.rpartition(":")[2] == "id")]
            if relation["Type"].endswith("/worksheet"):
                self._paths[sheet["name"]] = _within(relation["Target"])
        self.sheets = list(self._paths)
        properties = next(iter(book.named("workbookPr")), ("", {}))[1]
        self._days_later = 1462 if properties.get("date1904") in ("1", "true") else 0
        self._dates = self._date_styles()
        self._shared = self._shared_strings()

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet that hold anything, in the order of the file."""
        reader = _SheetReader(self)
        for piece in self._pieces(self._paths[sheet]):
            reader.parser.Parse(piece, False)
            yield from reader.take()
        reader.parser.Parse(b"", True)
        yield from reader.take()

    def text(self, kind: str, value: str | None, style: str | None, formula: str | None) -> str:
        """What a person sees in a cell; of a formula without its value the formula, of an error
        its name."""
        if value is None or (value == "" and kind not in ("str", "inlineStr")):
            return "" if formula is None else f"={formula or '(shared formula)'}"
        if kind == "s":
            return self._shared[int(value)]
        if kind in ("str", "inlineStr"):
            return value
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind == "e":
            return value if value.startswith("#") else "#ERROR!"
        if kind == "d":
            return value.replace("T", " ").removesuffix(" 00:00:00")
        number = float(value)
        if int(style or 0) in self._dates and 0 <= number <= _LAST_SERIAL:
            return self._date(number)
        return f"{number:.15G}"

    def _date(self, serial: float) -> str:
        moment = _DAY_ZERO + timedelta(seconds=round((serial + self._days_later) * 86_400))
        if serial < 1:
            return f"{moment:%H:%M:%S}"
        return f"{moment:%Y-%m-%d}" if moment.time() == datetime.min.time() else f"{moment}"

    def _date_styles(self) -> set[int]:
        """Places of the cell formats that show a number as a day."""
        if (styles := self._part("xl/styles.xml", required=False)) is None:
            return set()
        found = _Collected(styles)
        codes = {int(each["numFmtId"]): each["formatCode"] for _, each in found.named("numFmt")}
        dates = _BUILT_IN_DATES | {number for number, code in codes.items() if _is_date(code)}
        cells = [each for parent, each in found.named("xf") if parent == "cellXfs"]
        return {n for n, each in enumerate(cells) if int(each.get("numFmtId", 0)) in dates}

    def _shared_strings(self) -> list[str]:
        path = self._part("xl/sharedStrings.xml", required=False)
        if path is None:
            return []
        reader = _StringReader()
        for piece in path:
            reader.parser.Parse(piece, False)
        reader.parser.Parse(b"", True)
        return reader.strings

    def _part(self, name: str, *, required: bool = True) -> Any:
        if name.lower() not in self._names and not required:
            return None
        return self._pieces(name)

    def _pieces(self, name: str) -> Iterator[bytes]:
        with self._zip.open(self._names[name.lower()]) as part:
            while piece := part.read(_PIECE):
                yield piece


class _Collected:
    """The elements of a small part, with the names of their parents."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._found: list[tuple[str, str, dict[str, str]]] = []
        self._path: list[str] = [""]
        parser = _parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = lambda _: self._path.pop()
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)

    def named(self, name: str) -> list[tuple[str, dict[str, str]]]:
        return [(parent, each) for parent, found, each in self._found if found == name]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self._found.append((self._path[-1], name, attributes))
        self._path.append(name)


class _TextReader:
    """Collects the text of some elements."""

    def __init__(self) -> None:
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data
        self._text: list[str] | None = None
        self._phonetic = 0

    def _data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
            if len(text) > _LONGEST_CELL:
                raise FileRefused(
                    FileReason.NOT_A_TABLE,
                    "a cell of the workbook holds more text than a cell can; it is damaged",
                )

    def _taken(self) -> str:
        text, self._text = "".join(self._text or ()), None
        return text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def _end(self, name: str) -> None:
        raise NotImplementedError


class _StringReader(_TextReader):
    """The texts that cells share, without how they are pronounced."""

    def __init__(self) -> None:
        super().__init__()
        self.strings: list[str] = []
        self._runs: list[str] = []

    def _start(self, name: str, _: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name == "t" and not self._phonetic:
            self._text = []
        self._phonetic += name == "rPh"

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name == "t" and self._text is not None:
            self._runs.append(self._taken())
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "si":
            self.strings.append("".join(self._runs))
            self._runs = []


class _SheetReader(_TextReader):
    """The rows of one sheet."""

    def __init__(self, book: Workbook) -> None:
        super().__init__()
        self._book = book
        self._rows: list[Row] = []
        self._number = 0
        self._cells: dict[int, str] = {}
        self._column = -1
        self._columns: dict[str, int] = {}
        self._kind, self._style = "n", None
        self._value: str | None = None
        self._formula: str | None = None

    def take(self) -> list[Row]:
        """The rows that have come since this was last asked."""
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, attributes: dict[str, Any]) -> None:
        name = name.rpartition(":")[2]
        if name == "c":
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s")
            self._value = self._formula = None
            place = attributes.get("r")
            self._column = self._at(place) if place else self._column + 1
        elif name in ("v", "t", "f") and not self._phonetic:
            self._text = []
        elif name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            self._cells, self._column = {}, -1
        self._phonetic += name == "rPh"

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name == "v" and self._text is not None:
            self._value = self._taken()
        elif name == "t" and self._text is not None:
            self._value = (self._value or "") + self._taken()
        elif name == "f" and self._text is not None:
            self._formula = self._taken()
        elif name == "rPh":
            self._phonetic -= 1
        elif name == "c":
            text = self._book.text(self._kind, self._value, self._style, self._formula)
            if text:
                self._cells[self._column] = text
        elif name == "row" and any(map(str.strip, self._cells.values())):
            last = max(self._cells)
            row = [self._cells.get(column, "") for column in range(last + 1)]
            self._rows.append((self._number, row))

    def _at(self, place: str) -> int:
        """The index of the column that a place such as `AB12` is in."""
        match = _PLACE.fullmatch(place)
        if match is None:
            raise ValueError(place)
        letters = match[1]
        if letters not in self._columns:
            index = 0
            for letter in letters:
                index = index * 26 + ord(letter) - ord("A") + 1
            self._columns[letters] = index - 1
        return self._columns[letters]


def _parser() -> Any:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise FileRefused(FileReason.NOT_A_TABLE, "the workbook declares a document type; no "
                          "spreadsheet does")  # fmt: skip

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _within(target: str) -> str:
    """A part's name in the archive; targets are relative to `xl/` or absolute."""
    return target[1:] if target.startswith("/") else f"xl/{target}".replace("xl/../", "")


def _is_date(code: str) -> bool:
    first = _NOT_OF_A_DATE.sub("", code.partition(";")[0])
    return first.lower() not in ("general", "standard") and bool(re.search(r"[dmyhs]", first, re.I))
