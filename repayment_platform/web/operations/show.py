"""How values look on the screens: filters and words that templates use.

What belongs here: formatting for pages. What does not: formatting that other places share
(`display`), pages.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.requests import Request

from repayment_platform.display import rupees
from repayment_platform.sources.dates import KOLKATA
from repayment_platform.sources.registry import LENDERS

NOTHING = "–"
_AMOUNT = re.compile(r"(?<![\w.,-])[0-9]{4,}\.[0-9]{2}(?![\w.])")
STATES = {
    "success": ("Posted", "green"),
    "waiting": ("Waiting", "blue"),
    "deferred": ("Deferred", "azure"),
    "held": ("Held", "orange"),
    "sending": ("Sending", "cyan"),
    "unknown": ("In doubt", "purple"),
    "awaiting_approval": ("Approval in Fineract", "purple"),
    "failed": ("Failed", "red"),
    "loan_unknown": ("Loan unknown", "yellow"),
    "no_repayment": ("No repayment", "secondary"),
    "undone": ("Undone", "orange"),
    "given_back": ("Given back", "secondary"),
    "landed": ("Landed", "green"),
    "landing": ("Landing", "cyan"),
    "duplicate": ("Duplicate", "secondary"),
    "matched": ("Matched", "green"),
    "gateway_only": ("Gateway only", "azure"),
    "settlement_only": ("Settlement only", "azure"),
    "amount_differs": ("Amount differs", "orange"),
    "reversed": ("Reversed", "purple"),
    "approved": ("Approved", "blue"),
    "refused": ("Refused", "red"),
    "running": ("Running", "cyan"),
    "done": ("Done", "green"),
    "STARTED": ("Running", "cyan"),
    "QUEUED": ("Queued", "blue"),
    "SUCCESS": ("Done", "green"),
    "FAILURE": ("Failed", "red"),
    "CANCELED": ("Stopped", "secondary"),
}
"""Word and colour of every state that a page shows as a label."""


def money(amount: Decimal | None) -> str:
    """Rupees with their sign: ₹ 12,34,567.00."""
    return NOTHING if amount is None else f"₹\N{NARROW NO-BREAK SPACE}{rupees(amount)}"


def told(reason: str | None) -> str:
    """A reason, with the amounts in it grouped as `money` groups them."""
    return _AMOUNT.sub(lambda found: rupees(Decimal(found[0])), reason or "")


def number(value: int | None) -> str:
    """A count, grouped the Indian way."""
    return NOTHING if value is None else rupees(Decimal(value)).removesuffix(".00")


def day(value: date | None) -> str:
    return NOTHING if value is None else f"{value:%d %b %Y}"


def moment(value: datetime | None) -> str:
    """A time in Asia/Kolkata."""
    return NOTHING if value is None else f"{value.astimezone(KOLKATA):%d %b %Y, %H:%M}"


def ago(value: datetime | None) -> str:
    """How long since, in the largest unit that fits."""
    if value is None:
        return NOTHING
    seconds = int((datetime.now(UTC) - value).total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


def state(name: str) -> tuple[str, str]:
    """Word and colour of a state."""
    return STATES.get(name, (words(name), "secondary"))


def words(name: str) -> str:
    """`possible_duplicate` as a person writes it."""
    text = name.replace("_", " ").capitalize() if name else NOTHING
    return text.upper() if text in ("Utr", "Umrn") else text


def lender_name(code: str | None) -> str:
    return LENDERS[code].name if code in LENDERS else code or NOTHING


def totals(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The control totals of a file: what its rows add up to, and what it says of itself."""
    lines = []
    for name, value in (found or {}).items():
        if name == "declared":
            for said in value:
                verdict = "agrees" if said.get("agrees") else "differs"
                what = money(Decimal(str(said["amount"]))) if said.get("amount") else "a total"
                lines.append((f"Declared in line {said.get('line')}", f"{what}, {verdict}"))
        elif name == "columns":
            lines += [("Columns", told) for told in value]
        elif name.startswith("amount"):
            lines.append((words(name), money(Decimal(str(value)))))
        else:
            lines.append((words(name), str(value)))
    return lines


def with_query(request: Request, path: str | None = None, **changes: Any) -> str:
    """The address of this page, or of `path` with its query, some fields changed or left out."""
    query = {k: v for k, v in request.query_params.items() if v} | changes
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return (path or request.url.path) + (f"?{urlencode(kept)}" if kept else "")


def install(env: Environment) -> None:
    """Give the templates these functions."""
    env.filters.update(
        money=money,
        told=told,
        number=number,
        day=day,
        moment=moment,
        ago=ago,
        state=state,
        words=words,
        lender_name=lender_name,
        totals=totals,
    )
    env.globals.update(with_query=with_query, lenders=LENDERS)
    env.trim_blocks = env.lstrip_blocks = True
