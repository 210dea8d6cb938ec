"""Processing log: every file and webhook that came, what was read and what was rejected.

What belongs here: the lists and one file's page. What does not: uploading (`upload`), landing.
"""

from typing import Any

from psycopg import sql
from psycopg.sql import SQL
from starlette.exceptions import HTTPException
from starlette.responses import Response

from repayment_platform.sources.registry import LENDERS, SOURCES, Kind
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import (
    NEWEST,
    PAGE_ROWS,
    Listing,
    download,
    read_number,
)
from repayment_platform.web.operations.users import Role

STATUSES = ("landed", "duplicate", "failed", "landing")
REJECTED_SHOWN = 100
_FILES = SQL("""
SELECT id, received_at, source_lender AS lender, raw_table, name, status, rows_read, rows_landed,
       rows_quarantined, rows_duplicate, error, duplicate_of, supersedes, received_by, seconds
FROM "CORE"."CORE_FILE_LOG" WHERE id < %(after)s AND {where}
ORDER BY id DESC LIMIT %(limit)s
""")
CONDITIONS = {
    "lender": "source_lender = %(lender)s",
    "status": "status = %(status)s",
    "rejected": "rows_quarantined > 0",
}
_FILE = 'SELECT * FROM "CORE"."CORE_FILE_LOG" WHERE id = %(id)s'
_REJECTED = SQL("""
SELECT row_number, reason_code, reason, original FROM "CORE"."CORE_QUARANTINE"
WHERE file_id = %(id)s AND replayed_at IS NULL ORDER BY row_number LIMIT %(limit)s
""")
_REASONS = """
SELECT reason_code, count(*) AS rows FROM "CORE"."CORE_QUARANTINE"
WHERE file_id = %(id)s AND replayed_at IS NULL
GROUP BY 1 ORDER BY 2 DESC, 1
"""
# Ids are drawn in order of arrival from one sequence, so they page over all tables at once.
_DELIVERIES = SQL("""
(SELECT id, landed_at, event_type, event_id, {name} AS raw_table, signed_by, replaces_id
 FROM {table} WHERE id < %(after)s ORDER BY id DESC LIMIT %(limit)s)
""")
_WITH_KEYS = SQL("""
SELECT d.*, (SELECT source_key FROM "CORE"."CORE_PAYMENT_KEY" k WHERE k.raw_id = d.id
             ORDER BY batch DESC LIMIT 1) AS source_key,
       d.id > coalesce((SELECT keyed_to FROM "CORE"."CORE_RAW_CUT" c
                        WHERE c.raw_table = d.raw_table), 0) AS is_new
FROM (SELECT * FROM ({all}) every ORDER BY id DESC LIMIT %(limit)s) d ORDER BY id DESC
""")
# The last thousand tell how many came in a day; more is more than a page needs to know.
_ACTIVITY = SQL("""
SELECT {name} AS raw_table, max(landed_at) AS newest,
       count(*) FILTER (WHERE landed_at > now() - interval '1 day') AS last_day
FROM (SELECT landed_at FROM {table} ORDER BY id DESC LIMIT 1001) newest
""")
_REJECTED_EVENTS = """
SELECT raw_table, event_id, reason, quarantined_at, original FROM "CORE"."CORE_QUARANTINE"
WHERE file_id IS NULL AND replayed_at IS NULL ORDER BY id DESC LIMIT 20
"""
WEBHOOKS = [source for source in SOURCES.values() if source.kind is not Kind.FILE]


class Log(Screen):
    """Files and webhooks, the newest first."""

    menu_label = "Processing log"
    icon = "fa-solid fa-inbox"
    path = "/log"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """Files."""
        given = {name: visit.query.get(name, "") for name in CONDITIONS}
        if given["lender"] not in LENDERS:
            given["lender"] = ""
        if given["status"] not in STATUSES:
            given["status"] = ""
        conditions = [SQL(CONDITIONS[name]) for name in CONDITIONS if given[name]]
        where = SQL(" AND ").join(conditions or [SQL("true")])
        rows = visit.rows(_FILES.format(where=where), **given, **_place(visit))
        return self.show(
            visit,
            "log.html",
            listing=Listing.cut(rows, visit.query.get("after", ""), "", _id),
            filters=given,
            statuses=STATUSES,
        )

    @page("/files/{number:int}", Role.VIEWER)
    def file(self, visit: Visit) -> Response:
        """One file: what was in it, and the rows that were rejected."""
        found = _file(visit)
        rejected = visit.rows(_REJECTED, id=found["id"], limit=REJECTED_SHOWN)
        reasons = visit.rows(_REASONS, id=found["id"])
        return self.show(
            visit,
            "file.html",
            title=found["name"],
            file=found,
            rejected=rejected,
            reasons=reasons,
        )

    @page("/files/{number:int}/rejected.csv", Role.VIEWER)
    def rejected(self, visit: Visit) -> Response:
        """Its rejected rows with reasons and original text, as CSV."""
        number = _file(visit)["id"]
        query = _REJECTED.format()
        name = f"rejected rows of file {number}"
        return download(self.admin.connect_long(), query, {"id": number, "limit": None}, name)

    @page("/webhooks", Role.VIEWER)
    def webhooks(self, visit: Visit) -> Response:
        """Webhook deliveries."""
        parts = [_of_table(_DELIVERIES, source.table) for source in WEBHOOKS]
        query = _WITH_KEYS.format(all=SQL(" UNION ALL ").join(parts))
        rows = visit.rows(query, **_place(visit))
        activity = [visit.row(_of_table(_ACTIVITY, source.table)) for source in WEBHOOKS]
        return self.show(
            visit,
            "webhooks.html",
            listing=Listing.cut(rows, visit.query.get("after", ""), "", _id),
            activity=activity,
            rejected=visit.rows(_REJECTED_EVENTS),
            sources=SOURCES,
        )


def _of_table(shape: SQL, table: str) -> sql.Composed:
    return shape.format(name=sql.Literal(table), table=sql.Identifier("RAW", table))


def _place(visit: Visit) -> dict[str, int | None]:
    return {"after": read_number(visit.query.get("after", ""), NEWEST), "limit": PAGE_ROWS + 1}


def _id(row: dict[str, Any]) -> str:
    return str(row["id"])


def _file(visit: Visit) -> dict[str, Any]:
    number = visit.request.path_params["number"]
    found = visit.row(_FILE, id=number) if number < 2**63 else None
    if found is None:
        raise HTTPException(404, "There is no such file.")
    return dict(found)
