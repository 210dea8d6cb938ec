"""The Python twin of the `source_key` macro, for tests and look-ups only.

What belongs here: the formula. What does not: deciding which key a payment has; that is
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
    if not amount.is_finite() or amount != amount.quantize(Decimal("0.01")):
        raise ValueError(f"amount {amount} is not in whole paise")
    text = f"{lender.upper()}{loan_external_id}{payment_date.isoformat()}{amount:.2f}"
    return hashlib.md5((f"{text}#{n}" if n else text).encode(), usedforsecurity=False).hexdigest()
