"""Payments: every payment and its posting status, and one payment's whole story.

What belongs here: the pages, holding one payment, having one sent or posted again. What does not:
their queries (`payment_list`, `payment_story`), when that may be (`posting.refusals`,
`exceptions.reposting`, `exceptions.rejection`).
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from psycopg import Connection
from starlette.exceptions import HTTPException
from starlette.responses import Response

from repayment_platform.exceptions.decisions import NotHeld, hold
from repayment_platform.exceptions.gone import NotReposted
from repayment_platform.exceptions.rejection import rejected
from repayment_platform.exceptions.reposting import repost
from repayment_platform.ledger.identity import WrongLedger
from repayment_platform.posting.refusals import send_again
from repayment_platform.settings import Settings
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import Listing, count_words, download
from repayment_platform.web.operations.payment_list import FOUND_AT_MOST, STATUSES, Filters
from repayment_platform.web.operations.payment_story import story
from repayment_platform.web.operations.users import Role

STANDING_SHOWN = 20
"""Repayments in Fineract of which the page asks whether they are other money."""
_NUMBER = re.compile(r"(?<!\d)\d{1,18}(?!\d)")
_Act = Callable[..., Coroutine[Any, Any, Mapping[str, object]]]


class Payments(Screen):
    """Every payment, newest first."""

    menu_label = "Payments"
    icon = "fa-solid fa-indian-rupee-sign"
    path = "/payments"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """The list, filtered and searched."""
        filters = Filters.read(visit.query)
        query, values = filters.page()
        rows = visit.rows(query, **values)
        if filters.search:
            listing = Listing(rows, None, True, str(len(rows)))
        else:
            count_query, count_values = filters.count()
            count = count_words(visit.row(count_query, **count_values)["n"])
            listing = Listing.cut(rows, filters.after, count, _position)
        return self.show(
            visit,
            "payments.html",
            listing=listing,
            filters=filters,
            statuses=STATUSES,
            found_at_most=FOUND_AT_MOST,
        )

    @page(".csv", Role.VIEWER)
    def export(self, visit: Visit) -> Response:
        """The same rows, all of them, as CSV."""
        query, values = Filters.read(visit.query).page(limit=None)
        return download(self.admin.connect_long(), query, values, "payments")

    @page("/{source_key}", Role.VIEWER)
    def one(self, visit: Visit) -> Response:
        """What happened to one payment, in order."""
        told = story(visit, visit.request.path_params["source_key"])
        if told is None:
            raise HTTPException(404, "There is no payment with this key.")
        standing = [int(number) for number in _NUMBER.findall(visit.query.get("standing", ""))]
        return self.show(
            visit, "payment.html", title="Payment", story=told, standing=standing[:STANDING_SHOWN]
        )

    @page("/{source_key}/hold", Role.OPERATOR, "POST")
    def hold(self, visit: Visit) -> Response:
        """Keep a payment from being posted until somebody decides what it is."""
        key, why = visit.request.path_params["source_key"], visit.text("why")
        if len(why) < 3:
            visit.tell("Nothing was changed: say why, for the audit log.", "warning")
            return visit.go(f"/payments/{key}")
        try:
            hold(visit.connection, key, visit.user.username, why)
        except NotHeld as error:
            visit.tell(f"Nothing was changed: {error}.", "warning")
        else:
            visit.tell("Held. It is posted when somebody releases it.")
        return visit.go(f"/payments/{key}")

    @page("/{source_key}/send-again", Role.OPERATOR, "POST")
    def send_again(self, visit: Visit) -> Response:
        """Have the next run send a payment that Fineract refused, without asking first."""
        return self._act(visit, _send_again)

    @page("/{source_key}/repost", Role.APPROVER, "POST")
    def post_again(self, visit: Visit) -> Response:
        """Let a payment be posted again whose repayment was undone or lost in Fineract."""
        other_money = [int(number) for number in _NUMBER.findall(visit.text("other_money"))]
        return self._act(visit, partial(repost, other_money=other_money))

    @page("/{source_key}/rejected", Role.APPROVER, "POST")
    def was_rejected(self, visit: Visit) -> Response:
        """Let a payment be posted again whose repayment was rejected in Fineract."""
        return self._act(visit, rejected)

    def _act(self, visit: Visit, act: _Act) -> Response:
        key, why = visit.request.path_params["source_key"], visit.text("why")
        if len(why) < 3:
            visit.tell("Nothing was changed: say why, for the audit log.", "warning")
            return visit.go(f"/payments/{key}")
        who = visit.user.username
        try:
            came = asyncio.run(act(visit.settings, visit.connection, [key], who, why))[key]
        except WrongLedger as error:
            came = error
        if isinstance(came, Exception):
            visit.tell(f"Nothing was changed: {came}.", "warning")
        else:
            visit.tell(f"Done: {came}.")
        standing = came.standing if isinstance(came, NotReposted) else ()
        asked = "?standing=" + "+".join(str(t.resource_id) for t in standing) if standing else ""
        return visit.go(f"/payments/{key}{asked}")


async def _send_again(
    _settings: Settings, connection: Connection[Any], keys: Sequence[str], who: str, why: str
) -> Mapping[str, object]:
    return send_again(connection, keys, who, why)


def _position(row: dict[str, object]) -> str:
    return f"{row['payment_date'] or ''}~{row['source_key']}"
