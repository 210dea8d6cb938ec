"""The Python twin of the `source_key` macro, and the external ids that are made of a key's text.

What belongs here: the formulas. What does not: deciding which key a payment has; that is
written once, in the warehouse, and read from there.
"""

import hashlib
from datetime import date
from decimal import Decimal


def source_key(
    lender: str, loan_external_id: str, payment_date: date, amount: Decimal, n: int = 0
) -> str:
    """md5 of upper-case lender, loan, `YYYY-MM-DD` and rupees with two decimals, put together.

    `n` > 0 is the n-th proven other payment of the same formula and appends `#n`.

    Raises:
        ValueError: the amount has more than two decimals, or is no number.
    """
    return _md5(_text(lender, loan_external_id, payment_date, amount, n))


def repost_id(
    lender: str, loan_external_id: str, payment_date: date, amount: Decimal, n: int, *, k: int
) -> str:
    """The external id under which the payment of the key of these facts is posted for the k-th
    time again: md5 of the key's text with `#r` and k after it. No key's text ends so."""
    text = _text(lender, loan_external_id, payment_date, amount, n)
    return _md5(f"{text}#r{k}")


def _text(lender: str, loan_external_id: str, payment_date: date, amount: Decimal, n: int) -> str:
    if not amount.is_finite() or amount != amount.quantize(Decimal("0.01")):
        raise ValueError(f"amount {amount} is not in whole paise")
    text = f"{lender.upper()}{loan_external_id}{payment_date.isoformat()}{amount:.2f}"
    return f"{text}#{n}" if n else text


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
