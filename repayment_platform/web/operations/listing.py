"""Long lists: a page at a time by key, counts that stop early, downloads that stream.

What belongs here: what every list page shares. What does not: the queries of single pages.

A page continues after the last row of the one before it, never by counting rows from the start,
so the hundredth page costs what the first one does.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.sql import Composed
from starlette.responses import StreamingResponse

from repayment_platform.display import csv_line

PAGE_ROWS = 50
ROWS_AT_ONCE = 5000
NEWEST = 2**63 - 1
"""After every row's number: where a list begins."""
COUNT_TO = 1000
"""Beyond this a list says "1,000+"."""


@dataclass(frozen=True)
class Listing:
    """One page of a list, newest first."""

    rows: list[Any]
    next: str | None
    """Where the next page continues; None on the last page."""
    is_first: bool
    count: str = ""

    @classmethod
    def cut(cls, rows: list[Any], after: str, count: str, key: Callable[[Any], str]) -> "Listing":
        """Of `PAGE_ROWS` + 1 rows that were asked for, those to show."""
        shown = rows[:PAGE_ROWS]
        more = len(rows) > PAGE_ROWS
        return cls(shown, key(shown[-1]) if more else None, not after, count)


def count_words(count: int) -> str:
    return "1,000+" if count > COUNT_TO else f"{count:,}"


def read_number(text: str, otherwise: int | None = None) -> int | None:
    """A row's number; `otherwise` where there is none, or nonsense."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else otherwise


def read_day(text: str) -> date | None:
    """A day of a filter; None where there is none, or nonsense, which filters nothing."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def download(
    connect: AbstractContextManager[Connection[Any]],
    query: Composed,
    values: dict[str, Any],
    name: str,
) -> StreamingResponse:
    """All rows of a query as a CSV file, sent while they are read."""

    def lines() -> Iterator[str]:
        with (
            connect as connection,
            connection.transaction(),
            connection.cursor("download") as cursor,
        ):
            cursor.execute(query, values)
            rows = cursor.fetchmany(ROWS_AT_ONCE)
            assert cursor.description is not None  # noqa: S101 - a SELECT has columns
            yield csv_line(column.name for column in cursor.description)
            while rows:
                yield "".join(map(csv_line, rows))
                rows = cursor.fetchmany(ROWS_AT_ONCE)

    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)
