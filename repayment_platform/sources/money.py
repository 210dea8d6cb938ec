"""Amounts: from the texts that Indian files and gateways write to exact rupees.

What belongs here: reading one amount, exactly or not at all. What does not: which column
holds it and in which unit (the registry says), what the amount means for a loan.
"""

import re
from decimal import Decimal
from functools import lru_cache

from repayment_platform.sources.refusals import BadValue, RowReason

LIMIT = Decimal(10) ** 17
"""What `numeric(19,2)` holds: 17 digits before the point."""

_PLAIN = re.compile(r"[0-9]{1,17}(\.[0-9]{1,2})?")
_GROUPED = re.compile(
    r"(?:[0-9]+|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.([0-9]+))?"
)
_DRESSED = re.compile(
    r"""(?P<open>\()?\s*
        (?P<sign>[-+])?\s*
        (?:(?:₹|Rs\.?|INR)\s*)?
        (?P<inner_sign>-)?
        (?P<number>[0-9][0-9,.]*?)
        \s*(?:/-)?\s*
        (?P<close>\))?
        \s*(?:(?P<side>Cr|Dr)\.?)?""",
    re.VERBOSE | re.IGNORECASE,
)


def _bad(text: object, why: str) -> BadValue:
    return BadValue(RowReason.BAD_DECIMAL, f"amount {text!r}: {why}")


@lru_cache(maxsize=65_536)
def parse_rupees(text: str) -> Decimal:
    """The amount that `text` states, in rupees with exactly two decimals; zeros behind them say no
    more.

    Reads plain numbers, lakh (`1,25,000.00`) and thousand grouping, `₹`, `Rs.`, `INR`, a
    closing `/-`, and a direction: a minus sign, brackets or `Dr` make it negative, `Cr` does
    not.

    Raises:
        BadValue: BAD_DECIMAL for anything else. Nothing is rounded, stripped or guessed.
    """
    if _PLAIN.fullmatch(text):
        return Decimal(text) if text[-3:-2] == "." else Decimal(text).quantize(Decimal("0.01"))
    match = _DRESSED.fullmatch(text.strip()) if len(text) <= 60 else None
    if not match:
        raise _bad(text, "not a decimal number")
    if bool(match["open"]) != bool(match["close"]):
        raise _bad(text, "brackets do not pair")
    grouped = _GROUPED.fullmatch(match["number"])
    if not grouped:
        raise _bad(text, "digits are not grouped as lakh or thousand")
    if len((grouped[1] or "").rstrip("0")) > 2:
        raise _bad(text, "more than two decimals")
    amount = Decimal(match["number"].replace(",", ""))
    if amount >= LIMIT:
        raise _bad(text, "too large")
    negatives = (
        match["sign"] == "-",
        bool(match["inner_sign"]),
        bool(match["open"]),
        (match["side"] or "").lower() == "dr",
    )
    if sum(negatives) > 1:
        raise _bad(text, "its direction is stated twice")
    return (-amount if any(negatives) else amount).quantize(Decimal("0.01"))


def parse_paise(value: int | str) -> Decimal:
    """Rupees of an integer number of paise, as Razorpay's API and webhooks send it.

    Raises:
        BadValue: BAD_DECIMAL for anything but a whole number (a bool is none).
    """
    text = str(value).strip()  # True is the text "True"
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise _bad(value, "not a whole number of paise")
    amount = Decimal(text).scaleb(-2)
    if abs(amount) >= LIMIT:
        raise _bad(value, "too large")
    return amount
