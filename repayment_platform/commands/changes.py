"""What a corrected file or a replay changes, as commands print it.

What belongs here: the words and the table. What does not: finding the changes (`landing`).
"""

from typing import TYPE_CHECKING

from repayment_platform.display import rupees

if TYPE_CHECKING:
    from rich.console import Console

    from repayment_platform.landing.changes import Change, Changes, Facts

SHOWN = 20
_NAMES = ("loan_ref", "payment_date", "amount", "outcome", "payment_ref")


def print_changes(console: "Console", changes: "Changes") -> None:
    """The first changes, old → new, those of posted payments before all others."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not changes.examples:
        console.print("no payment changes")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", "line", "loan", "date", "rupees", "outcome", "reference", "payment"):
        table.add_column(name, overflow="fold")
    for change in changes.examples[:SHOWN]:
        cells = (change.kind, str(change.row_number), *_cells(change), _state(change))
        table.add_row(*map(Text, cells))
    console.print(table)
    if (more := changes.added + changes.changed + changes.withdrawn - SHOWN) > 0:
        console.print(f"… and {more:,} more")
    if changes.exceptions:
        console.print(
            f"{changes.exceptions:,} of these payments are posted already. Nothing of them is "
            "posted again; each becomes an exception for a person to look at.",
            style="yellow",
        )


def _cells(change: "Change") -> list[str]:
    old, new = _texts(change.old), _texts(change.new)
    pairs = zip(old or new, new or old, strict=True)
    return [one if one == other else f"{one} → {other}" for one, other in pairs]


def _texts(facts: "Facts | None") -> list[str]:
    if facts is None:
        return []
    values = (getattr(facts, name) for name in _NAMES)
    return [
        "" if value is None else rupees(value) if name == "amount" else str(value)
        for name, value in zip(_NAMES, values, strict=True)
    ]


def _state(change: "Change") -> str:
    if change.becomes_exception:
        return "posted: exception"
    return (change.posting or "").replace("_", " ")
