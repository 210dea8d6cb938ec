"""Tables that commands print.

What belongs here: showing reports in a terminal. What does not: making them.
"""

import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich import box
from rich.console import Console
from rich.table import Table

from repayment_platform.display import rupees
from repayment_platform.posting.model import QueueLine
from repayment_platform.posting.report import LenderReport

# What is no terminal, a file or a pipe, has room for wide tables.
console = Console() if sys.stdout.isatty() else Console(width=160)


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows, numbers to the right; `empty` is said where there are none."""
    lines = list(rows)
    if not lines:
        console.print(f"{title}: {empty}")
        return
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for position, name in enumerate(header):
        right = all(isinstance(line[position], int | Decimal) for line in lines)
        shown.add_column(name, justify="right" if right else "left", overflow="fold")
    for line in lines:
        shown.add_row(*(rupees(c) if isinstance(c, Decimal) else str(c) for c in line))
    console.print(shown)


def print_queue(lines: Iterable[QueueLine]) -> None:
    table(
        "Queue",
        ("lender", "path", "state", "payments", "rupees", "due now", "reason"),
        (
            (q.lender, q.path, q.state, q.payments, q.rupees, "yes" if q.due else "no", q.reason)
            for q in lines
        ),
        "empty, every payment in CORE is settled",
    )


def print_run(title: str, lines: Iterable[LenderReport]) -> None:
    """Per lender what a run did, and below it the sum."""
    names = ("picked_up", "posted", "rupees", "failed", "held", "deferred", "in_doubt", "recon")
    rows = [(r.lender, *(getattr(r, name) for name in names)) for r in lines]
    total = ("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True)))
    labels = ("picked up", "posted", "rupees posted", "failed", "held", "deferred", "in doubt",
              "left to recon")  # fmt: skip
    shown = [*rows, total] if rows else []
    table(title, ("lender", *labels), shown, "nothing was due and nothing is open")
