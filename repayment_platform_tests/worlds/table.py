"""The table of slips and their required outcomes, which stands in docs/worlds.md and nowhere else.

What belongs here: reading it. What does not: what a slip does (`slips`).
"""

from dataclasses import dataclass
from functools import cache

from repayment_platform.settings import ROOT
from repayment_platform_tests.worlds.reporting import BANKS, CASHFREE, LENDERS_FILES, RAZORPAY

PAGE = ROOT / "docs" / "worlds.md"
OUTCOMES = ("joins", "own", "asked", "joins or asked", "own or asked")
GROUPS = {
    "all": ("ARTHMATE", "IKF", "DMI", "SHIVALIK", "GB", "UGRO", "VIVRITI"),
    "banks": tuple(BANKS),
    "banks with references": tuple(lender for lender in BANKS if lender != "ARTHMATE"),
    "automated": ("ARTHMATE", "IKF", "DMI", "SHIVALIK"),
    "pairs": ("DMI", "SHIVALIK"),
    "two sources": tuple(LENDERS_FILES),
    "Razorpay": tuple(RAZORPAY),
    "Cashfree": tuple(CASHFREE),
    "gateways": ("GB", "UGRO", "VIVRITI"),
}


@dataclass(frozen=True)
class Slip:
    """A row of the table."""

    name: str
    lenders: tuple[str, ...]
    outcome: str
    later: bool
    """Expected to fail: what decides it is not built yet."""
    walk: bool
    """It is a sequence that was walked through when the rules were made."""


@cache
def slips() -> dict[str, Slip]:
    """Every slip by its name."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "`" in line]
    return {row[0].strip("`"): _slip(row) for row in rows if len(row) == 5 and row[0][:1] == "`"}


def _slip(row: list[str]) -> Slip:
    name, lenders, outcome, what, _why = row
    names = [lender for part in lenders.split(", ") for lender in GROUPS.get(part, (part.upper(),))]
    later = outcome.endswith(", later")
    outcome = outcome.removesuffix(", later")
    if outcome not in OUTCOMES:
        raise ValueError(f"{name}: no such outcome: {outcome}")
    return Slip(name.strip("`"), tuple(dict.fromkeys(names)), outcome, later, "walk" in what)
