"""From the bytes of a payment file to its table: encoding, delimiter, header, lines.

What belongs here: splitting a file into lines of text cells, and no meaning. What does not:
reading money, dates and outcomes out of the cells (`rows`).

Lines are split by the `csv` module, one at a time: pandas pads short rows and cannot say
that a row was cut off, and would take one damaged quote for a cell of a thousand lines.
"""

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice, product
from pathlib import Path
from typing import NamedTuple, TextIO

from repayment_platform.sources.ach_debit import NAMES, is_ach_debit, split_lines
from repayment_platform.sources.encodings import SHEET, Fingerprint, encoding_of
from repayment_platform.sources.headers import Header, NearMiss, find_header
from repayment_platform.sources.layouts import ACH_DEBIT, Layout
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.sheets import open_workbook
from repayment_platform.sources.xlsx import Row

HEADER_WITHIN = 200
"""Lines among which the header must be; bank exports have up to twenty lines above it."""
_DELIMITERS = (",", "\t", ";", "|", "~", "^")
_NO_DELIMITER = re.compile(r"[\w\s\"'.\-/()#&:]")
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_PIECE = 1 << 20
"""Characters of one line down to the header; the rest of a longer one is read as lines more."""
MOST_DELIMITERS = 8
"""Unusual ones that are tried."""
_BLOCK = 1 << 15
"""Characters that are read at once; few enough to stay in the processor's cache."""
_CELL_LINES = 20
"""Lines that one quoted cell may span."""


class Line(NamedTuple):
    """One line of a table: `cells` is None where it cannot be split into cells."""

    number: int
    """1 = the first line of the file."""
    text: str
    cells: list[str] | None
    damage: str = "a quotation mark is not closed where it must be"
    """Why there are no cells."""


class Block(NamedTuple):
    """Lines that follow each other, each a record, without a zero byte or what is no text. Nearly
    all lines come so."""

    first: int
    texts: Sequence[str]
    rows: Sequence[list[str]]

    def lines(self) -> Iterator[Line]:
        return map(Line, count(self.first), self.texts, self.rows)


@dataclass(frozen=True)
class Table:
    """A file whose header has been found; `lines` reads what stands below it, once."""

    encoding: str
    delimiter: str | None
    header: Header
    above: list[list[str]]
    """The rows above the header, in a workbook those of the sheets before it too."""
    lines: Iterator[Line | Block]
    position: Callable[[], int]
    """Bytes of the file that `lines` has taken so far."""


def open_table(path: Path, seen: Fingerprint, layouts: tuple[Layout, ...]) -> Table:
    """Find the table of one of `layouts` in the file.

    Raises:
        FileRefused: it is empty, holds no such table, or lacks a column.
        OSError: it cannot be read.
    """
    encoding = encoding_of(seen)
    if encoding == SHEET:
        return _open_workbook(path, seen.head, layouts)
    return _open_text(path, encoding, layouts, seen)


def _open_text(path: Path, encoding: str, layouts: tuple[Layout, ...], seen: Fingerprint) -> Table:
    with _opened(path, encoding) as stream:
        top = list(islice(iter(lambda: stream.readline(_PIECE), ""), HEADER_WITHIN))
    if not top:
        raise FileRefused(FileReason.EMPTY_FILE, "the file holds a byte order mark and no text")
    if ACH_DEBIT in layouts and is_ach_debit(top[0]):
        return _open_ach_debit(path, encoding, seen.size_bytes)
    misses: list[NearMiss] = []
    for delimiter, joined in product(_delimiters(top), (True, False)):
        rows, ends = _records(top, delimiter, joined)
        found = find_header(rows, layouts)
        if isinstance(found, Header):
            stream = _opened(path, encoding)
            is_doubtful = seen.is_damaged or not seen.is_utf8
            lines = _text_lines(stream, delimiter, found, ends[found.row], is_doubtful)
            position = partial(_position, stream, seen.size_bytes)
            return Table(encoding, delimiter, found, rows[: found.row], lines, position)
        misses.append(found)
    raise _no_header(misses)


def _opened(path: Path, encoding: str) -> TextIO:
    """The file as text; what is none is replaced, and its line is known by that."""
    return path.open(encoding=encoding, errors="replace")


def _delimiters(top: Sequence[str]) -> list[str]:
    """The usual ones, then every other sign that stands several times in one line."""
    others = {
        sign: None
        for line in top
        for sign, times in Counter(line[:_PIECE]).items()
        if times > 2 and sign not in _DELIMITERS and not _NO_DELIMITER.match(sign)
    }
    return [*_DELIMITERS, *islice(others, MOST_DELIMITERS)]


def _records(top: Sequence[str], delimiter: str, joined: bool) -> tuple[list[list[str]], list[int]]:
    """The first lines as cells, and how many lines are read with each. With `joined` a quoted
    cell, of the header for one, may span lines."""
    rows: list[list[str]] = []
    ends: list[int] = []
    at = 0
    while at < len(top):
        taken, cells = 1, _split(top[at].rstrip("\n"), delimiter)
        while cells is None and joined and taken < _CELL_LINES and at + taken < len(top):
            taken += 1
            cells = _split("".join(top[at : at + taken]).rstrip("\n"), delimiter)
        taken = taken if cells is not None else 1
        at += taken
        rows.append(cells or [])
        ends.append(at)
    return rows, ends


def _open_ach_debit(path: Path, encoding: str, size: int) -> Table:
    header = find_header([NAMES], [ACH_DEBIT])
    assert isinstance(header, Header)  # noqa: S101 - the names are the layout's own
    stream = _opened(path, encoding)
    lines = (Line(*line) for line in split_lines(stream))
    return Table(encoding, None, header, [], lines, partial(_position, stream, size))


def _position(stream: TextIO, size: int) -> int:
    return size if stream.closed else stream.buffer.tell()


def _open_workbook(path: Path, head: bytes, layouts: tuple[Layout, ...]) -> Table:
    """Sheets without a header are passed over, and those with nothing below it."""
    book = open_workbook(path, head)
    misses: list[NearMiss] = []
    above: list[list[str]] = []
    tables: dict[str, Table] = {}
    filled: list[str] = []
    for name in book.sheets:
        # The name may be what a section is known by.
        top = [(0, [name]), *islice(book.rows(name), HEADER_WITHIN)]
        rows = [cells for _, cells in top]
        found = find_header(rows, layouts)
        if isinstance(found, NearMiss):
            misses.append(found)
            above += rows
            continue
        below = (
            Line(number, "\t".join(cells), cells)
            for number, cells in _wide(islice(book.rows(name), found.row, None), found)
        )
        before = above + rows[: found.row]
        tables[name] = Table(f"sheet {name!r}", None, found, before, below, lambda: 0)
        if any(islice(book.rows(name), found.row, found.row + 1)):
            filled.append(name)
    if len(filled) > 1:
        raise FileRefused(
            FileReason.SEVERAL_SHEETS,
            f"the sheets {', '.join(map(repr, filled))} each have rows to land; "
            "send each as a file of its own",
        )
    if not tables:
        raise _no_header(misses)
    return tables[filled[0]] if filled else next(iter(tables.values()))


def _wide(rows: Iterator[Row], header: Header) -> Iterator[Row]:
    """A sheet's rows end with their last cell; empty ones up to the header's width follow."""
    width = len(header.names)
    for number, cells in rows:
        yield number, cells + [""] * (width - len(cells))


def _no_header(misses: list[NearMiss]) -> FileRefused:
    best = max(misses, key=lambda miss: miss.found, default=NearMiss(0, "it has no sheets"))
    if best.found:
        return FileRefused(FileReason.MISSING_HEADER_COLUMN, best.missing)
    return FileRefused(
        FileReason.NOT_A_TABLE,
        f"{best.missing}; send the file with the names of its columns above its rows, or choose "
        "the source that it is of",
    )


def _split(text: str, delimiter: str) -> list[str] | None:
    """The cells of one record, or None when its quotes do not pair."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _text_lines(
    stream: TextIO, delimiter: str, header: Header, pieces: int, is_doubtful: bool
) -> Iterator[Line | Block]:
    """The lines below the header, which ends with so many pieces; in a file of which some bytes
    may be no text, those with such bytes are damaged."""
    with stream:
        passed = (stream.readline(_PIECE) for _ in range(pieces))
        number = 1 + sum(piece.endswith("\n") for piece in passed)
        while block := stream.readlines(_BLOCK):
            text = "".join(block)
            texts = text.removesuffix("\n").split("\n")
            is_odd = "\0" in text or (is_doubtful and _REPLACED in text)
            if not is_odd and (rows := _split_all(texts, delimiter, quoted='"' in text)):
                yield Block(number, texts, rows)
                number += len(texts)
                continue
            for line in _odd_lines(number, block, stream, delimiter, header, is_doubtful):
                yield line
                number = line.number + 1 + line.text.count("\n")


def _split_all(texts: list[str], delimiter: str, *, quoted: bool) -> list[list[str]] | None:
    """The cells of lines each of which is a record; None where one is not."""
    if not quoted:
        return [text.split(delimiter) for text in texts]
    try:
        rows = list(csv.reader(texts, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows if len(rows) == len(texts) else None


def _odd_lines(
    number: int, block: list[str], stream: TextIO, delimiter: str, header: Header,
    is_doubtful: bool,
) -> Iterator[Line]:  # fmt: skip
    """The lines of a block, one by one, and those of the stream that belong to its last one."""
    waiting = deque(block)
    while waiting:
        line = waiting.popleft()
        text = line.rstrip("\n")
        if is_doubtful and _REPLACED in text:
            yield Line(number, text, None, "the line holds a byte that is no text")
            number += 1
            continue
        cells = _split(text, delimiter)
        if cells is None:
            waiting.extend(islice(stream, max(0, _CELL_LINES - len(waiting))))
            text, cells = _joined(line, waiting, delimiter, header)
        yield Line(number, text, cells)
        number += 1 + text.count("\n")


def _joined(
    first: str, waiting: deque[str], delimiter: str, header: Header
) -> tuple[str, list[str] | None]:
    """A record whose quoted cell runs over several lines, taken out of `waiting`.

    A lost quote looks the same and would swallow the rows below it, so the cell must not
    itself hold as many delimiters as a row has; otherwise the first line alone is damaged.
    """
    width = len(header.names)
    text = first
    for taken, line in enumerate(islice(waiting, _CELL_LINES), start=1):
        text += line
        cells = _split(text, delimiter)
        if cells is None:
            continue
        whole = len(cells) == width or isinstance(find_header([cells], [header.layout]), Header)
        if whole and all(cell.count(delimiter) < width - 1 for cell in cells):
            for _ in range(taken):
                waiting.popleft()
            return text.rstrip("\n"), cells
        break
    return first.rstrip("\n"), None
