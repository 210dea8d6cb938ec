"""Audit: every action, read-only.

What belongs here: the list. What does not: writing to the log (`warehouse.audit`).
"""

from typing import Any

from psycopg.sql import SQL, Composed
from starlette.responses import Response

from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import (
    NEWEST,
    PAGE_ROWS,
    Listing,
    download,
    read_number,
)
from repayment_platform.web.operations.users import Role

_LIST = SQL("""
SELECT id, at, who, action, subject, detail FROM "CORE"."CORE_AUDIT_LOG"
WHERE id < %(after)s AND {where} ORDER BY id DESC LIMIT %(limit)s
""")
CONDITIONS = {
    "who": "who = %(who)s",
    "action": "action ~>=~ %(action)s AND action ~<~ (%(action)s || chr(1114111))",
    "subject": "subject = %(subject)s",
}


class Audit(Screen):
    """Who did what, the newest first."""

    menu_label = "Audit"
    icon = "fa-solid fa-clipboard-list"
    path = "/audit"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """Who did what, filtered."""
        query, values = _query(visit, PAGE_ROWS + 1)
        rows = visit.rows(query, **values)
        after = visit.query.get("after", "")
        listing = Listing.cut(rows, after, "", lambda row: str(row["id"]))
        return self.show(visit, "audit.html", listing=listing, filters=values)

    @page(".csv", Role.VIEWER)
    def export(self, visit: Visit) -> Response:
        """The same rows, all of them, as CSV."""
        return download(self.admin.connect_long(), *_query(visit, None), "audit")


def _query(visit: Visit, limit: int | None) -> tuple[Composed, dict[str, Any]]:
    given = {n: visit.query.get(n, "").strip()[:100] for n in CONDITIONS}
    conditions = [SQL(sql) for name, sql in CONDITIONS.items() if given[name]]
    place = read_number(visit.query.get("after", ""), NEWEST)
    where = SQL(" AND ").join(conditions or [SQL("true")])
    return _LIST.format(where=where), given | {"after": place, "limit": limit}
