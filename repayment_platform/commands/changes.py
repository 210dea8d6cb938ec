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
    from rich.text import Text

    if not changes.examples:
        console.print("no payment changes")
        return
    for change in changes.examples[:SHOWN]:
        console.print(Text(_line(change)))
    if (more := changes.added + changes.changed + changes.withdrawn - SHOWN) > 0:
        console.print(f"… and {more:,} more")
    if changes.exceptions:
        console.print(
            f"{changes.exceptions:,} of these payments are posted already. Nothing of them is "
            "posted again; each becomes an exception for a person to look at.",
            style="yellow",
        )


def _line(change: "Change") -> str:
    old, new = _texts(change.old), _texts(change.new)
    pairs = zip(old or new, new or old, strict=True)
    texts = [
        one if one == other else f"{one or 'none'} → {other or 'none'}" for one, other in pairs
    ]
    if change.becomes_exception:
        texts.append("posted: becomes an exception")
    elif change.posting:
        texts.append(change.posting.replace("_", " "))
    return f"{change.kind:<10} line {change.row_number}: {' · '.join(filter(None, texts))}"


def _texts(facts: "Facts | None") -> list[str]:
    if facts is None:
        return []
    values = (getattr(facts, name) for name in _NAMES)
    return [
        "" if value is None else rupees(value) if name == "amount" else str(value)
        for name, value in zip(_NAMES, values, strict=True)
    ]
