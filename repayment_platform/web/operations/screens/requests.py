"""Requests: who asked for what to be posted, who approved it, how it goes.

What belongs here: the list, one request followed live, the decisions on it. What does not: their
rules (`reconciliation.requests`), making one (`reconciliation`).
"""

from collections.abc import Callable
from typing import Any

from psycopg.sql import SQL
from starlette.exceptions import HTTPException
from starlette.responses import Response

from repayment_platform.reconciliation import requests
from repayment_platform.reconciliation.requests import (
    NotAllowed,
    NotOpen,
    Request,
    UnknownRequest,
)
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import NEWEST, PAGE_ROWS, Listing, read_number
from repayment_platform.web.operations.users import Role

STATES = ("awaiting_approval", "approved", "running", "done", "failed", "refused")
UNDER_WAY = ("approved", "running")
PAYMENTS_SHOWN = 100
_LIST = SQL("""
SELECT id, state, requested_by, requested_at, why, payments, rupees, decided_by, finished_at
FROM "CORE"."CORE_RECON_REQUEST"
WHERE {where} AND id < %(after)s ORDER BY id DESC LIMIT %(limit)s
""")
_ITEMS = """
SELECT i.source_key, i.source_lender AS lender, i.loan_external_id AS loan, i.payment_date,
       i.amount, i.excluded, coalesce(p.status, w.state, 'waiting') AS status,
       CASE WHEN p.status = 'undone' THEN p.error_text ELSE w.reason END AS reason,
       p.fineract_transaction_id
FROM (SELECT * FROM "CORE"."CORE_RECON_REQUEST_ITEM" WHERE request_id = %(id)s
      ORDER BY source_key LIMIT %(limit)s) i
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    ON p.source_key = i.source_key AND p.status <> 'failed'
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = i.source_key
ORDER BY i.excluded IS NULL, coalesce(p.status, w.state) = 'success', i.source_key
"""


class Requests(Screen):
    """Reconciliation requests, the newest first."""

    menu_label = "Requests"
    icon = "fa-solid fa-list-check"
    path = "/requests"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """The list, by state."""
        state, after = visit.query.get("state", ""), visit.query.get("after", "")
        where = SQL("state = %(state)s") if state in STATES else SQL("true")
        rows = visit.rows(
            _LIST.format(where=where),
            state=state,
            after=read_number(after, NEWEST),
            limit=PAGE_ROWS + 1,
        )
        listing = Listing.cut(rows, after, "", lambda row: str(row["id"]))
        return self.show(visit, "requests.html", listing=listing, states=STATES, state=state)

    @page("/{number:int}", Role.VIEWER)
    def one(self, visit: Visit) -> Response:
        """One request with its payments."""
        found = self._get(visit)
        return self.show(
            visit, "request.html", title=f"Request {found.id}", **self._told(visit, found)
        )

    @page("/{number:int}/live", Role.VIEWER)
    def live(self, visit: Visit) -> Response:
        """The part of the page that changes while it runs."""
        return self.show(visit, "parts/request_live.html", **self._told(visit, self._get(visit)))

    @page("/{number:int}/approve", Role.APPROVER, "POST")
    def approve(self, visit: Visit) -> Response:
        """Let it be posted; never one's own."""
        return self._decide(visit, "approved", requests.approve)

    @page("/{number:int}/refuse", Role.APPROVER, "POST")
    def refuse(self, visit: Visit) -> Response:
        """Let it not be posted."""
        return self._decide(visit, "refused", requests.refuse)

    @page("/{number:int}/again", Role.OPERATOR, "POST")
    def again(self, visit: Visit) -> Response:
        """Run a failed request again, with the facts that were approved."""
        return self._decide(
            visit,
            "open again",
            lambda connection, number, who, _why: requests.start_again(
                connection, number, who, visit.settings.recon_four_eyes
            ),
            needs_why=False,
        )

    def _decide(
        self,
        visit: Visit,
        done: str,
        act: Callable[..., None],
        needs_why: bool = True,
    ) -> Response:
        number, why = _number(visit), visit.text("why")
        if needs_why and len(why) < 3:
            visit.tell("Nothing was decided: say why, for the audit log.", "warning")
            return visit.go(f"/requests/{number}")
        try:
            act(visit.connection, number, visit.user.username, why)
        except (NotAllowed, NotOpen) as error:
            visit.tell(f"Nothing was changed: {error}.", "warning")
        except UnknownRequest as error:
            raise HTTPException(404, str(error)) from None
        else:
            visit.tell(f"Request {number} is {done}.")
        return visit.go(f"/requests/{number}")

    def _get(self, visit: Visit) -> Request:
        try:
            return requests.get(visit.connection, _number(visit))
        except UnknownRequest as error:
            raise HTTPException(404, str(error)) from None

    def _told(self, visit: Visit, found: Request) -> dict[str, Any]:
        return {
            "found": found,
            "items": visit.rows(_ITEMS, id=found.id, limit=PAYMENTS_SHOWN),
            "shown": PAYMENTS_SHOWN,
            "is_live": found.state in UNDER_WAY,
            "is_own": found.requested_by.lower() == visit.user.username.lower(),
        }


def _number(visit: Visit) -> int:
    number: int = visit.request.path_params["number"]
    return number if number <= NEWEST else 0
