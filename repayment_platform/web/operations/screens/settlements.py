"""Settlements: what the lines of each payout add up to, against what the gateway announced.

What belongs here: the page. What does not: the sums and the verdict (dbt's CORE_SETTLEMENT).
"""

from psycopg.sql import SQL
from starlette.responses import Response

from repayment_platform.reconciliation.selection import RECON_LENDERS
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import PAGE_ROWS, Listing, read_day
from repayment_platform.web.operations.users import Role

_LIST = SQL("""
SELECT *, coalesce(settled_on, DATE '0001-01-01') AS day FROM "CORE"."CORE_SETTLEMENT"
WHERE settlement_utr IS NOT NULL AND {where}
ORDER BY day DESC, settlement_utr DESC, source_lender DESC LIMIT %(limit)s
""")
CONDITIONS = {
    "lender": SQL("source_lender = %(lender)s"),
    "differs": SQL("agreed IS NOT TRUE"),
    "after": SQL(
        "(coalesce(settled_on, DATE '0001-01-01'), settlement_utr, source_lender)"
        " < (%(day)s, %(utr)s, %(of)s)"
    ),
}


class Settlements(Screen):
    """Not in the menu: a tab of Reconciliation."""

    menu_label = "Reconciliation"
    path = "/reconciliation/settlements"
    add_to_menu = False

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """Settlements by UTR, the newest first: do the lines add up to what was announced?"""
        given = {name: visit.query.get(name, "")[:100] for name in CONDITIONS}
        if given["lender"] not in RECON_LENDERS:
            given["lender"] = ""
        day, _, rest = given["after"].partition("~")
        of, _, utr = rest.partition("~")
        place = {"day": read_day(day), "of": of, "utr": utr}
        if place["day"] is None:
            given["after"] = ""
        used = [CONDITIONS[name] for name in CONDITIONS if given[name]]
        query = _LIST.format(where=SQL(" AND ").join(used or [SQL("true")]))
        rows = visit.rows(query, **given, **place, limit=PAGE_ROWS + 1)
        listing = Listing.cut(rows, given["after"], "", _position)
        return self.show(
            visit,
            "settlements.html",
            listing=listing,
            filters=given,
            recon_lenders=RECON_LENDERS,
        )


def _position(row: dict[str, object]) -> str:
    return f"{row['day']}~{row['source_lender']}~{row['settlement_utr']}"
