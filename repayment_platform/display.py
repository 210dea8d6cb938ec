"""How values are shown to people, the same in a terminal, in Dagster and in a browser.

What belongs here: formatting. What does not: tables and pages.
"""

from decimal import Decimal


def rupees(amount: Decimal) -> str:
    """An amount in rupees, grouped the Indian way: 12,34,567.00."""
    whole, _, paise = f"{amount:.2f}".partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    head, tail = digits[:-3], digits[-3:]
    pairs: list[str] = []
    while head:
        head, pair = head[:-2], head[-2:]
        pairs.insert(0, pair)
    return f"{sign}{','.join([*pairs, tail])}.{paise}"
