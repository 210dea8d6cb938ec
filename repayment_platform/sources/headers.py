"""Finding the header of a table, and with it the layout the file comes in.

What belongs here: comparing rows of text with the layouts of a source. What does not: how
the rows were split out of bytes (`formats`), what the columns mean (`layouts`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repayment_platform.sources.layouts import Column, Layout, canonical, title
from repayment_platform.sources.refusals import FileReason, FileRefused

Cells = Sequence[str]
_OF_REASON = re.compile(r"return|bounce|reject|fail|dishono|unpaid|revers|decline|error")
_NOT_OF_REASON = re.compile(
    r"date|day|time|charge|fee|gst|tax|amount|amt|(?<!un)paid|penal|count|number|file|retry"
    r"|no$|rows?$|by$"
)
_OF_STATUS = re.compile(
    r"status$|remark|narration|descri|response$|message|comment|result|outcome|memo"
)
_NOT_OF_STATUS = re.compile(
    r"mandate|registration|kyc|loan|account|customer|sms|mail|refund|dispute|file|approval|umrn"
)


@dataclass(frozen=True)
class Header:
    """Where a table begins and which of its columns is which field."""

    row: int
    """Index of the header among the rows looked at; the data begins below it."""
    layout: Layout
    names: tuple[str, ...]
    """One name a column, none twice; columns beyond the last named one are left out."""
    width: int
    """Cells of the header's row, with the empty ones at its end."""
    fields: dict[str, tuple[int, ...]]
    """Field of the layout to the indexes of its columns. `reason_else` and `status_else` are
    further columns that may speak against a success: any reason of the former, and a known word
    for no success of the latter."""

    def several(self) -> list[str]:
        """Of each field that several columns state, which ones, and what is made of them."""
        told = []
        for field, places in self.fields.items():
            column = self.layout.columns.get(field)
            if column is None or len(places) < 2:
                continue
            names = [repr(self.names[place]) for place in places]
            rule = "the first that is filled counts" if column.first_wins else "must agree"
            told.append(f"{field.replace('_', ' ')} in {' and '.join(names)}: {rule}")
        return told


@dataclass(frozen=True)
class NearMiss:
    """The row most like a header, and what it lacks."""

    found: int
    missing: str


def find_header(rows: Iterable[Cells], layouts: Sequence[Layout]) -> Header | NearMiss:
    """The first row that has all required columns of one of `layouts`.

    Raises:
        FileRefused: AMBIGUOUS_HEADER when a column that is needed stands there twice.
    """
    best = NearMiss(0, "no line looks like a header")
    opened = {""}
    for number, cells in enumerate(rows):
        keys = tuple(map(title, cells))
        for layout in layouts:
            if canonical(layout.section) in "".join(map(canonical, cells)):
                opened.add(layout.section)
            missing = _missing(layout, keys)
            found = sum(column.required for column in layout.columns.values()) - len(missing)
            if missing:
                lacks = f"{layout.name}: no column {'; no column '.join(missing)}"
            elif layout.section not in opened:
                lacks = f"{layout.name}: no line {layout.section!r} above the table"
            else:
                return _header(number, layout, cells, keys)
            if found > best.found:
                best = NearMiss(found, lacks)
    return best


def _missing(layout: Layout, keys: Cells) -> list[str]:
    return [
        " or ".join(repr(alias) for alias in column.aliases)
        for column in layout.columns.values()
        if column.required
        and not _places(column, keys)
        and not (column.unless and _places(layout.columns[column.unless], keys))
    ]


def _places(column: Column, keys: Cells) -> tuple[int, ...]:
    """Where the column's aliases stand, in the order of the aliases."""
    wanted = {title(alias): None for alias in column.aliases}
    return tuple(place for alias in wanted for place, key in enumerate(keys) if key == alias)


def _header(row: int, layout: Layout, cells: Cells, keys: tuple[str, ...]) -> Header:
    fields: dict[str, tuple[int, ...]] = {}
    for name, column in layout.columns.items():
        if places := _places(column, keys):
            fields[name] = places
    _check_names(cells, {place for places in fields.values() for place in places})
    fields |= _witnesses(layout, keys, fields)
    width = max(index for index, cell in enumerate(cells) if cell.strip()) + 1
    return Header(row, layout, _names(cells[:width]), len(cells), fields)


def _check_names(cells: Cells, needed: set[int]) -> None:
    """Two columns of one name that are needed: nothing says how they differ."""
    known = Counter(canonical(cell) for place, cell in enumerate(cells) if place in needed)
    for place in sorted(needed):
        if (times := known[canonical(cells[place])]) > 1:
            raise FileRefused(
                FileReason.AMBIGUOUS_HEADER,
                f"the column {cells[place].strip()!r} stands in the header {times} times",
            )


def _witnesses(
    layout: Layout, keys: Cells, fields: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Columns that the layout does not know, and whose names say that they tell what became of a
    payment."""
    if not layout.reasons_speak:
        return {}
    claimed = {place for places in fields.values() for place in places}
    others = [(place, key) for place, key in enumerate(keys) if key and place not in claimed]
    found = {
        "reason_else": tuple(
            place
            for place, key in others
            if _OF_REASON.search(key) and not _NOT_OF_REASON.search(key)
        ),
        "status_else": tuple(
            place
            for place, key in others
            if _OF_STATUS.search(key) and not _NOT_OF_STATUS.search(key)
        ),
    }
    return {name: places for name, places in found.items() if places}


def _names(cells: Cells) -> tuple[str, ...]:
    """The header's texts; an empty one is named by its place, a repeated one numbered."""
    seen: Counter[str] = Counter()
    names: dict[str, None] = {}
    for place, cell in enumerate(cells, start=1):
        name = text = cell.strip().replace("\0", "\N{SYMBOL FOR NULL}") or f"column {place}"
        while name in names:
            seen[text] += 1
            name = f"{text} ({seen[text] + 1})"
        names[name] = None
    return tuple(names)
