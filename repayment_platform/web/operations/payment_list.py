"""The query behind the Payments list.

What belongs here: filters, search and order. What does not: the page, one payment's story.

Each filter has an index that gives its rows in the order of the list: a page takes the first
rows of every lender and merges them. Payments without a date come last.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from psycopg import sql
from psycopg.sql import SQL, Composed
from starlette.datastructures import QueryParams

from repayment_platform.sources.registry import LENDERS, SOURCES
from repayment_platform.web.operations.listing import COUNT_TO, PAGE_ROWS, read_day

OPEN_STATES = (
    "waiting",
    "deferred",
    "held",
    "sending",
    "unknown",
    "awaiting_approval",
    "failed",
)
STATUSES = ("success", "undone", *OPEN_STATES, "loan_unknown", "no_repayment")
FOUND_AT_MOST = 200
"""Payments that a search shows."""
NO_DAY = date(1, 1, 1)
_DAY = SQL("coalesce(payment_date, DATE '0001-01-01')")

_PER_LENDER = SQL("""
SELECT found.source_key, found.day
FROM unnest(%(lenders)s::text[]) AS one(lender) CROSS JOIN LATERAL (
    SELECT source_key, {day} AS day FROM {table}
    WHERE source_lender = one.lender AND {where}
    ORDER BY {day} DESC, source_key DESC LIMIT %(limit)s
) found
""")
# What is undone is held too, and listed as undone.
_HELD = SQL("""
state = 'held' AND source_key NOT IN (
    SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE status = 'undone')
""")
# Few payments have no loan, and one index finds them all.
_UNKNOWN_LOAN = SQL("""
SELECT source_key, {day} AS day FROM (
    SELECT * FROM {table} WHERE loan_external_id IS NULL AND is_success OFFSET 0
) unknown WHERE {where}
""")
# Prefixes as ranges, for which the indexes of any database locale serve.
_SEARCH = SQL("""
SELECT DISTINCT source_key, {day} AS day FROM (
    SELECT * FROM (SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
        WHERE loan_external_id ~>=~ %(upper)s AND loan_external_id ~<~ %(upper_end)s LIMIT 201) a
    UNION ALL
    SELECT * FROM (SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
        WHERE utr ~>=~ %(upper)s AND utr ~<~ %(upper_end)s LIMIT 201) b
    UNION ALL
    SELECT * FROM (SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
        WHERE source_key >= %(lower)s AND source_key <= %(lower)s || 'g' LIMIT 201) c
    UNION ALL
    SELECT e.* FROM (SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
        WHERE external_id >= %(lower)s AND external_id <= %(lower)s || 'g' LIMIT 201) reposted
    JOIN "CORE"."CORE_TRANSACTION_DATA" e USING (source_key)
    UNION ALL
    SELECT d.* FROM unnest(%(refs)s::text[]) AS one(ref) CROSS JOIN LATERAL (
        SELECT * FROM "CORE"."CORE_TRANSACTION_DATA"
        WHERE payment_ref ~>=~ one.ref AND payment_ref ~<~ (one.ref || chr(1114111)) LIMIT 201) d
) found
WHERE {where}
""")
STATUS = SQL("""
CASE WHEN p.status IN ('success', 'undone') THEN p.status
     WHEN w.state IS NOT NULL THEN w.state
     WHEN NOT t.is_success THEN 'no_repayment'
     WHEN t.loan_external_id IS NULL THEN 'loan_unknown'
     ELSE 'waiting' END
""")
_PAGE = SQL("""
WITH page AS MATERIALIZED (
    SELECT source_key, day FROM ({keys}) keys
    ORDER BY day DESC, source_key DESC LIMIT %(limit)s
)
SELECT t.payment_date, t.source_lender AS lender, t.loan_external_id AS loan, t.amount,
       {status} AS status,
       CASE WHEN p.status = 'undone' THEN p.error_text
            ELSE coalesce(w.reason, p.error_text, t.not_repayment_reason) END AS reason,
       t.payment_ref, t.utr, t.method, t.recon_source, t.source_key,
       p.fineract_transaction_id,
       CASE WHEN p.status <> 'failed' THEN p.processed_at END AS posted_at
FROM page
JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
{status_again}
ORDER BY page.day DESC, page.source_key DESC
""")
_COUNT = SQL("SELECT count(*) AS n FROM (SELECT 1 FROM ({keys}) keys LIMIT %(limit)s) counted")


@dataclass(frozen=True)
class Filters:
    """What a list of payments is narrowed down to."""

    lender: str = ""
    status: str = ""
    first_day: date | None = None
    last_day: date | None = None
    search: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryParams) -> "Filters":
        """From the address; what makes no sense filters nothing."""
        lender, status = query.get("lender", ""), query.get("status", "")
        return cls(
            lender if lender in LENDERS else "",
            status if status in STATUSES else "",
            read_day(query.get("from", "")),
            read_day(query.get("to", "")),
            query.get("q", "").strip()[:100],
            query.get("after", ""),
        )

    @property
    def any(self) -> bool:
        return replace(self, after="") != Filters()

    def page(self, limit: int | None = PAGE_ROWS + 1) -> tuple[Composed, dict[str, Any]]:
        """The rows of a page, or all with `limit` None."""
        keys, values = self._keys(limit)
        again = SQL("WHERE {status} = %(status)s").format(status=STATUS)
        filter_again = bool(self.search and self.status)
        query = _PAGE.format(
            keys=keys, status=STATUS, status_again=again if filter_again else SQL("")
        )
        return query, values

    def count(self) -> tuple[Composed, dict[str, Any]]:
        """How many there are in all, counted to `COUNT_TO` + 1."""
        keys, values = replace(self, after="")._keys(COUNT_TO + 1)
        return _COUNT.format(keys=keys), values

    def _keys(self, limit: int | None) -> tuple[Composed, dict[str, Any]]:
        """The keys and days of the rows; the day is the one that the table's index has."""
        values = self._values() | {"limit": limit}
        if self.search:
            return _SEARCH.format(day=_DAY, where=self._where(SQL("true"), _DAY)), values
        table, status, day = self._table()
        shape = _UNKNOWN_LOAN if self.status == "loan_unknown" else _PER_LENDER
        return shape.format(table=table, day=day, where=self._where(status, day)), values

    def _table(self) -> tuple[sql.Identifier, SQL, SQL]:
        """The table with the rows of this status, the condition for them, and their day."""
        if self.status in OPEN_STATES:
            table = sql.Identifier("CORE", "CORE_OPEN_WORK")
            condition = _HELD if self.status == "held" else SQL("state = %(status)s")
            return table, condition, SQL("payment_date")
        if self.status in ("success", "undone"):
            table = sql.Identifier("CORE", "CORE_TRANSACTION_DATA_PROCESSED")
            # Spelt out, for the indexes are of one status each.
            of_status = SQL("status = 'success'"), SQL("status = 'undone'")
            return table, of_status[self.status == "undone"], SQL("payment_date")
        condition = SQL("NOT is_success") if self.status == "no_repayment" else SQL("true")
        return sql.Identifier("CORE", "CORE_TRANSACTION_DATA"), condition, _DAY

    def _where(self, status: SQL, day: SQL) -> Composed:
        conditions: list[SQL | Composed] = [status]
        if self.first_day:
            conditions.append(SQL("{day} >= %(first_day)s").format(day=day))
        if self.last_day:
            known = SQL("payment_date IS NOT NULL AND {day} <= %(last_day)s")
            conditions.append(known.format(day=day))
        if self.search or self.status == "loan_unknown":
            conditions.append(SQL("source_lender = ANY(%(lenders)s)"))
        joined = SQL(" AND ").join(conditions)
        if not self.after or self.search:
            return joined
        after = SQL(" AND ({day}, source_key) < (%(after_day)s, %(after_key)s)").format(day=day)
        return joined + after

    def _values(self) -> dict[str, Any]:
        after_day, _, after_key = self.after.partition("~")
        upper = self.search.upper()
        namespaces = sorted({source.ref_namespace or "" for source in SOURCES.values()})
        return {
            "lenders": [self.lender] if self.lender else list(LENDERS),
            "status": self.status,
            "first_day": self.first_day,
            "last_day": self.last_day,
            "after_day": read_day(after_day) or NO_DAY,
            "after_key": after_key,
            "upper": upper,
            "upper_end": upper + chr(0x10FFFF),
            "lower": self.search.lower(),
            "refs": [f"{namespace}:{self.search}" for namespace in namespaces] + [self.search],
        }
