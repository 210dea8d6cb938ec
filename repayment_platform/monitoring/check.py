"""One check of `./run doctor`, and the one that several subjects share.

What belongs here: what a check is. What does not: checks of a subject (`doctor`,
`fineract_checks`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

LARGEST_SKEW_SECONDS = 5.0
"""Settle times are told by the database's clock; a repayment's day by this machine's."""


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is right, what was seen, and what to do if it is not."""

    name: str
    right: bool
    seen: str
    advice: str = ""


def skew(name: str, theirs: datetime | None) -> Check:
    """Whether another clock agrees with ours; a Date header has no fractions of a second."""
    if theirs is None:
        return Check(
            name, False, "not told", "what answers there is no Fineract, or hides the date"
        )
    seconds = (theirs - datetime.now(UTC)).total_seconds()
    right = abs(seconds) <= LARGEST_SKEW_SECONDS
    return Check(name, right, f"{seconds:+.1f} s from ours", "keep both by NTP")


def one_line(error: Exception) -> str:
    """What an error says, without its layout."""
    return " ".join(str(error).split()) or type(error).__name__
