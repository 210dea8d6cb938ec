"""Dates in Java patterns and numbers in a locale, read the way Fineract reads them.

What belongs here: text to value. What does not: which fields a request must have (`validation`).
"""

import re
from calendar import month_name
from datetime import date
from decimal import Decimal

_MONTHS = tuple(name.lower() for name in month_name[1:])
_LOCALE = re.compile(r"[A-Za-z]{2}(_[A-Za-z]{2}(_\w+)?)?")
_TOKEN = re.compile(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']")
_COMMA_LANGUAGES = frozenset({"de", "es", "id", "it", "nl", "pt", "tr"})
"""Languages that write 1.250,50; the others that occur here write 1,250.50."""


def is_locale(text: str) -> bool:
    return _LOCALE.fullmatch(text) is not None


def parse_decimal(text: str, locale: str) -> Decimal:
    """A number as text in `locale`; raises ValueError when it is none."""
    group, point = (".", ",") if locale[:2].lower() in _COMMA_LANGUAGES else (",", ".")
    plain = text.strip().replace(group, "").replace(point, ".")
    if not re.fullmatch(r"-?(\d+\.?\d*|\.\d+)", plain):
        raise ValueError(text)
    return Decimal(plain)


def parse_date(text: str, pattern: str) -> date:
    """A date by a Java pattern, with an optional ` HH:mm:ss` behind it.

    Digits are counted leniently (2026-1-5 fits yyyy-MM-dd), unless fields touch; the date itself
    must exist. Raises ValueError for a text that does not fit and for a pattern not understood.
    """
    found = _date_regex(pattern).fullmatch(text)
    if found is None:
        raise ValueError(text)
    parts = found.groupdict()
    year = int(parts["year"])
    name = parts.get("name")
    month = int(parts["month"]) if name is None else _month_number(name)
    return date(2000 + year if len(parts["year"]) == 2 else year, month, int(parts["day"]))


def _month_number(name: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month.startswith(name.lower()))


def _date_regex(pattern: str) -> re.Pattern[str]:
    tokens = list(_TOKEN.finditer(pattern))
    if sum(len(token.group()) for token in tokens) != len(pattern):
        raise ValueError(pattern)
    letters = [token.group(2) for token in tokens] + [None]
    regex = ""
    for index, token in enumerate(tokens):
        touching = letters[index - 1] is not None or letters[index + 1] is not None
        regex += _field_regex(token, touching)
    if not {"year", "day"} <= set(re.findall(r"\?P<(\w+)>", regex)) or "<month>" not in regex:
        raise ValueError(pattern)
    return re.compile(regex + r"(?: \d{1,2}:\d{1,2}:\d{1,2})?", re.IGNORECASE)


def _field_regex(token: re.Match[str], touching: bool) -> str:
    text, letter = token.group(), token.group(2)
    if letter is None:
        return re.escape(text if token.group(1) is None else token.group(1) or "'")
    digits = rf"\d{{{len(text)}}}" if touching else r"\d+"
    if letter in "yu":
        return rf"(?P<year>{digits})"
    if letter == "M" and len(text) >= 3:
        names = [month if len(text) == 4 else month[:3] for month in _MONTHS]
        return rf"(?P<name>{'|'.join(names)})(?P<month>)"
    if letter == "M":
        return rf"(?P<month>{digits})"
    if letter == "d":
        return rf"(?P<day>{digits})"
    raise ValueError(text)
