"""Lenders: the pause switch, limits, and the first day posted from here.

What belongs here: the page and its forms. What does not: keeping to the guards (`posting`).
"""

import re
from datetime import date
from decimal import Decimal, InvalidOperation

from starlette.exceptions import HTTPException
from starlette.responses import Response

from repayment_platform.posting.guards import Guards, set_guards
from repayment_platform.sources.registry import LENDERS
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.users import Role

_SETTINGS = 'SELECT * FROM "CORE"."CORE_LENDER_SETTING"'
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,2})?")
_COUNT = re.compile(r"[0-9]{1,9}")
LIMITS = ("post_from", "max_payment", "max_run_count", "max_run_amount")


class BadGuard(ValueError):
    """A limit cannot be read; the message says which."""


class Lenders(Screen):
    """Every lender with its guards."""

    menu_label = "Lenders"
    icon = "fa-solid fa-building-columns"
    path = "/lenders"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """Each lender: how it is posted, whether it is paused, its limits."""
        settings = {row["source_lender"]: row for row in visit.rows(_SETTINGS)}
        return self.show(visit, "lenders.html", settings=settings)

    @page("/{code}/pause", Role.OPERATOR, "POST")
    def pause(self, visit: Visit) -> Response:
        """Post nothing more of this lender; what is under way is finished."""
        why = visit.text("why")
        if len(why) < 3:
            return _refused(visit, "say why, for the audit log")
        return _set(visit, {"paused": True, "paused_why": why}, "paused")

    @page("/{code}/resume", Role.APPROVER, "POST")
    def resume(self, visit: Visit) -> Response:
        """Post again."""
        return _set(visit, {"paused": False, "paused_why": None}, "posted again")

    @page("/{code}/limits", Role.ADMIN, "POST")
    def limits(self, visit: Visit) -> Response:
        """Set all limits; an empty field takes one away."""
        _lender(visit)
        try:
            guards = _read(visit)
        except BadGuard as error:
            return _refused(visit, str(error))
        return _set(visit, guards, "limited as you said")


def _read(visit: Visit) -> Guards:
    if missing := [name for name in LIMITS if name not in visit.form]:
        raise BadGuard(f"the form came without {' and '.join(missing)}")
    count = visit.text("max_run_count").replace(",", "")
    if count and not _COUNT.fullmatch(count):
        raise BadGuard(f"{count!r} is no number of payments")
    first = visit.text("post_from")
    try:
        post_from = date.fromisoformat(first) if first else None
    except ValueError:
        raise BadGuard(f"{first!r} is no day") from None
    return {
        "post_from": post_from,
        "max_payment": _rupees(visit.text("max_payment")),
        "max_run_count": int(count) if count else None,
        "max_run_amount": _rupees(visit.text("max_run_amount")),
    }


def _rupees(text: str) -> Decimal | None:
    plain = text.replace(",", "").removeprefix("₹").strip()
    if not plain:
        return None
    if not _AMOUNT.fullmatch(plain):
        raise BadGuard(f"{text!r} is no amount of rupees")
    try:
        return Decimal(plain)
    except InvalidOperation:
        raise BadGuard(f"{text!r} is no amount of rupees") from None


def _lender(visit: Visit) -> str:
    code: str = visit.request.path_params["code"]
    if code not in LENDERS:
        raise HTTPException(404, "There is no such lender.")
    return code


def _set(visit: Visit, guards: Guards, done: str) -> Response:
    code = _lender(visit)
    set_guards(visit.connection, code, guards, visit.user.username)
    visit.tell(f"{LENDERS[code].name} is {done}.")
    return visit.go("/lenders")


def _refused(visit: Visit, why: str) -> Response:
    visit.tell(f"Nothing was changed: {why}.", "warning")
    return visit.go("/lenders")
