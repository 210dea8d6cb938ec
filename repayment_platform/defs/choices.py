"""What the launchpad offers to choose from, so that a wrong name is refused before a run starts.

What belongs here: enums made of the registry; a name and its value are the same. What does not:
what a choice does.
"""

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from repayment_platform.reconciliation.selection import RECON_LENDERS, RECON_SOURCES
from repayment_platform.sources.registry import automated_lenders

ANY = "ANY"

if TYPE_CHECKING:  # the names are known when it runs; Dagster wants types

    class AutomatedLender(Enum): ...

    class ReconLender(Enum):
        ANY = "ANY"

    class ReconSource(Enum):
        ANY = "ANY"

else:

    def _of(name: str, values: Iterable[str]) -> type[Enum]:
        return Enum(name, {value: value for value in values})

    AutomatedLender = _of("AutomatedLender", automated_lenders())
    ReconLender = _of("ReconLender", (ANY, *RECON_LENDERS))
    ReconSource = _of(
        "ReconSource",
        (ANY, *sorted({each for all_of in RECON_SOURCES.values() for each in all_of})),
    )


def chosen(choice: Enum) -> str | None:
    """The name that was chosen; None where any will do."""
    return None if choice.value == ANY else str(choice.value)
