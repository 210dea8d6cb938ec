"""Finding the header of a table, and with it the layout the file comes in.

What belongs here: comparing rows of text with the layouts of a source. What does not: how
the rows were split out of bytes (`formats`), what the columns mean (`layouts`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repayment_platform.sources.layouts import Layout, canonical
from repayment_platform.sources.refusals import FileReason, FileRefused

Cells = Sequence[str]


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
    fields: dict[str, int]
    """Field of the layout to index of its column."""
    canonical: tuple[str, ...]
    """The header's cells as compared, to know the header when it is repeated."""


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
        keys = tuple(canonical(cell) for cell in cells)
        for layout in layouts:
            if canonical(layout.section) in "".join(keys):
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
        if column.required and not any(canonical(alias) in keys for alias in column.aliases)
    ]


def _header(row: int, layout: Layout, cells: Cells, keys: tuple[str, ...]) -> Header:
    fields: dict[str, int] = {}
    for name, column in layout.columns.items():
        alias = next((a for a in map(canonical, column.aliases) if a in keys), None)
        if alias is None:
            continue
        if keys.count(alias) > 1:
            raise FileRefused(
                FileReason.AMBIGUOUS_HEADER,
                f"the column {cells[keys.index(alias)].strip()!r} stands in the header "
                f"{keys.count(alias)} times",
            )
        fields[name] = keys.index(alias)
    width = max(index for index, key in enumerate(keys) if key) + 1
    return Header(row, layout, _names(cells[:width]), len(cells), fields, keys[:width])


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
