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
from functools import lru_cache, reduce
from pathlib import Path
from typing import NamedTuple, NoReturn
from xml.parsers import expat
from zipfile import ZipFile

from repayment_platform.sources.refusals import FileReason, FileRefused

Row = tuple[int, list[str]]
"""Number of a row in its sheet, and its cells from column A on."""

_PIECE = 1 << 16
_LONGEST_CELL = 1 << 16
"""Characters; Excel ends at half of that."""
_OPTIONAL = ("styles.xml", "sharedStrings.xml")
_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_NOT_OF_A_DATE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_DAY_ZERO = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel's dates have no zone
_LAST_SERIAL = 2_958_465


class Workbook:
    """An opened file; `sheets` are the names of its worksheets, in their order."""

    def __init__(self, path: Path) -> None:
        """Raises what the zip or its XML raises when the file is damaged, or FileRefused."""
        self._zip = ZipFile(path)
        self._parts = {name.lower(): name for name in self._zip.namelist()}
        told = [each.attributes for each in self._part("workbook.xml", "workbookPr")]
        is_later = any(each.get("date1904") in ("1", "true") for each in told)
        self._day_zero = _DAY_ZERO + timedelta(days=1462 if is_later else 0)
        links = self._part("_rels/workbook.xml.rels", "Relationship")
        related = {link.attributes["Id"]: link.attributes for link in links}
        self._paths: dict[str, str] = {}
        for _, _, sheet, _ in self._part("workbook.xml", "sheet"):
            [relation] = [related[sheet[key]] for key in sheet if _local(key) == "id"]
            if relation["Type"].endswith("/worksheet"):
                self._paths[sheet["name"]] = relation["Target"]
        self.sheets = list(self._paths)
        self._dates = self._date_styles()
        self._shared = [each.texts.get("t", "") for each in self._part("sharedStrings.xml", "si")]

    def rows(self, sheet: str) -> Iterator[Row]:
        """The rows of a sheet that hold anything, in the order of the file."""
        cells: list[str] = []
        column, number = -1, 0
        for name, _, attributes, texts in self._part(self._paths[sheet], "c", "row"):
            if name == "row":
                number = int(attributes.get("r", number + 1))
                if any(map(str.strip, cells)):
                    yield number, cells
                cells, column = [], -1
                continue
            place = attributes.get("r")
            column = _column(place.rstrip("0123456789")) if place else column + 1
            if text := self._text(attributes, texts):
                cells += [""] * (column + 1 - len(cells))
                cells[column] = text

    def _text(self, cell: dict[str, str], texts: dict[str, str]) -> str:
        """What a person sees; of a formula without its value the formula, of an error its name."""
        kind, value, formula = cell.get("t", "n"), texts.get("v", texts.get("t")), texts.get("f")
        if not value and (value is None or kind not in ("str", "inlineStr")):
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
        if int(cell.get("s", 0)) in self._dates and 0 <= number <= _LAST_SERIAL:
            moment = self._day_zero + timedelta(seconds=round(number * 86_400))
            return f"{moment:%H:%M:%S}" if number < 1 else f"{moment}".removesuffix(" 00:00:00")
        return f"{number:.15G}"

    def _date_styles(self) -> set[int]:
        """Places of the cell formats that show a number as a day."""
        dates, formats = set(_BUILT_IN_DATES), []
        for name, within, each, _ in self._part("styles.xml", "numFmt", "cellXfs", "xf"):
            if name == "numFmt" and _is_date(each["formatCode"]):
                dates.add(int(each["numFmtId"]))
            elif name == "xf" and within == "cellXfs":
                formats.append(int(each.get("numFmtId", 0)))
        return {place for place, number in enumerate(formats) if number in dates}

    def _part(self, target: str, *names: str) -> Iterator["_Element"]:
        """The elements of such names in a part, whose path begins with a slash or below `xl/`."""
        path = target[1:] if target.startswith("/") else f"xl/{target}".replace("xl/../", "")
        if target in _OPTIONAL and path.lower() not in self._parts:
            return
        reader = _Elements(names)
        with self._zip.open(self._parts[path.lower()]) as part:
            while piece := part.read(_PIECE):
                yield from reader.read(piece)
        yield from reader.read(b"", last=True)


class _Element(NamedTuple):
    """An element that has ended."""

    name: str
    within: str
    """The nearest element around it that is asked for too."""
    attributes: dict[str, str]
    texts: dict[str, str]
    """Of the values (v), texts (t) and formulas (f) in it, without how they are pronounced."""


class _Elements:
    """Finds elements by their names, which count without their namespace: there are two."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = lambda *_: _refuse(
            "the workbook declares a document type; no spreadsheet does"
        )
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._names = frozenset(names)
        self._open: list[tuple[str, dict[str, str]]] = [("", {})]
        self._found: list[_Element] = []
        self._texts: dict[str, str] = {}
        self._text = ""  # name of the one that is being read
        self._pronounced = 0

    def read(self, piece: bytes, *, last: bool = False) -> list[_Element]:
        """The elements that end in this piece."""
        self._found = []
        self._parser.Parse(piece, last)
        return self._found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name in self._names:
            self._open.append((name, attributes))
            self._texts = {}
        elif name in ("v", "t", "f") and not self._pronounced:
            self._text = name
            self._texts.setdefault(name, "")
        elif name == "rPh":
            self._pronounced += 1

    def _data(self, text: str) -> None:
        if name := self._text:
            self._texts[name] += text
            if len(self._texts[name]) > _LONGEST_CELL:
                _refuse("a cell of the workbook holds more text than a cell can; it is damaged")

    def _end(self, name: str) -> None:
        name = _local(name)
        if name == self._text:
            self._text = ""
        elif name in self._names:
            _, attributes = self._open.pop()
            self._found.append(_Element(name, self._open[-1][0], attributes, self._texts))
        elif name == "rPh":
            self._pronounced -= 1


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _refuse(words: str) -> NoReturn:
    raise FileRefused(FileReason.NOT_A_TABLE, words)


@lru_cache(maxsize=1024)
def _column(letters: str) -> int:
    """The index of a column such as `AB`."""
    if not re.fullmatch("[A-Z]{1,3}", letters):
        raise ValueError(letters)
    return reduce(lambda index, letter: index * 26 + ord(letter) - 64, letters, 0) - 1


def _is_date(code: str) -> bool:
    first = _NOT_OF_A_DATE.sub("", code.partition(";")[0])
    return first.lower() not in ("general", "standard") and bool(re.search(r"[dmyhs]", first, re.I))
