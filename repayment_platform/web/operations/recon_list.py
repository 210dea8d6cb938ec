"""The query behind the Reconciliation list, and the selection that its filters stand for.

What belongs here: filters and order. What does not: the page, what of a selection can be posted
(`reconciliation.preview`).

What is open is looked up in the list of open work, which is short however long the history is;
everything else in CORE_RECON_RECORD. Both have an index in the order of the page.
"""

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composed
from starlette.datastructures import FormData, QueryParams

from repayment_platform.reconciliation.selection import (
    RECON_LENDERS,
    RECON_SOURCES,
    BadSelection,
    MatchStatus,
    Selection,
)
from repayment_platform.web.operations.listing import COUNT_TO, PAGE_ROWS, read_day
from repayment_platform.web.operations.payment_list import OPEN_STATES

OPEN, POSTED, EVERY = "open", "posted", "every"
CHANNELS = sorted({channel for channels in RECON_SOURCES.values() for channel in channels})
NEVER_OPEN = (MatchStatus.LOAN_UNKNOWN, MatchStatus.REVERSED)
"""Match statuses of payments that are not on the list of open work."""
LARGEST_SELECTION = 50_000

_OPEN_ROWS = SQL("""
SELECT found.*
FROM unnest(%(lenders)s::text[]) AS one(lender), unnest(%(states)s::text[]) AS s(state)
CROSS JOIN LATERAL (
    SELECT w.source_key, w.payment_date
    FROM "CORE"."CORE_OPEN_WORK" w
    JOIN "CORE"."CORE_RECON_RECORD" r ON r.source_key = w.source_key
    WHERE w.recon_source IS NOT NULL AND w.state = s.state AND w.source_lender = one.lender
      AND {where}
    ORDER BY w.payment_date DESC, w.source_key DESC LIMIT %(limit)s
) found
""")
_RECORDS = SQL("""
SELECT found.* FROM unnest(%(lenders)s::text[]) AS one(lender) CROSS JOIN LATERAL (
    SELECT r.source_key, r.payment_date FROM "CORE"."CORE_RECON_RECORD" r
    WHERE r.source_lender = one.lender AND {where}
    ORDER BY r.payment_date DESC, r.source_key DESC LIMIT %(limit)s
) found
""")
_POSTED = """
EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        WHERE p.source_key = r.source_key AND p.status = 'success')
"""
_PAGE = SQL("""
WITH page AS MATERIALIZED (
    SELECT source_key, payment_date FROM ({keys}) keys
    ORDER BY payment_date DESC, source_key DESC LIMIT %(limit)s
)
SELECT s.payment_date, s.source_lender AS lender, s.recon_source, s.loan_external_id AS loan,
       s.amount, s.gateway_amount, s.settled_amount, s.lender_amount, s.match_status,
       s.match_reason, s.posting_status, s.posting_reason, s.open_request, s.payment_ref, s.utr,
       s.settlement_utr, s.fineract_transaction_id, s.source_key
FROM page JOIN "CORE"."CORE_RECON_STATUS" s USING (source_key)
ORDER BY page.payment_date DESC, page.source_key DESC
""")
_KEYS = SQL("SELECT source_key FROM ({keys}) keys LIMIT %(limit)s")
_COUNT = SQL("SELECT count(*) AS n FROM (SELECT 1 FROM ({keys}) keys LIMIT %(limit)s) counted")


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed down to."""

    lender: str = ""
    channel: str = ""
    match: str = ""
    posting: str = OPEN
    first_day: date | None = None
    last_day: date | None = None
    loan: str = ""
    after: str = ""

    @classmethod
    def read(cls, given: QueryParams | FormData) -> "Filters":
        """From the address, or the hidden fields that repeat it; nonsense filters nothing."""

        def text(name: str) -> str:
            return str(given.get(name) or "").strip()[:100]

        lender, channel, match, posting = map(text, ("lender", "channel", "match", "posting"))
        return cls(
            lender if lender in RECON_LENDERS else "",
            channel if channel in CHANNELS else "",
            match if match in list(MatchStatus) else "",
            posting if posting in (OPEN, POSTED, EVERY) else OPEN,
            read_day(text("from")),
            read_day(text("to")),
            text("loan").upper(),
            text("after"),
        )

    @property
    def any(self) -> bool:
        return replace(self, after="") != Filters()

    def fields(self) -> dict[str, str]:
        """The names and values that `read` takes back."""
        names = {"first_day": "from", "last_day": "to"}
        values = {names.get(f.name, f.name): getattr(self, f.name) for f in fields(self)}
        return {name: str(value) for name, value in values.items() if value and name != "after"}

    def page(self, limit: int | None = PAGE_ROWS + 1) -> tuple[Composed, dict[str, Any]]:
        return _PAGE.format(keys=self._keys()), self._values(limit)

    def count(self) -> tuple[Composed, dict[str, Any]]:
        first = replace(self, after="")
        return _COUNT.format(keys=first._keys()), first._values(COUNT_TO + 1)

    def selection(self, connection: Connection[Any], picked: tuple[str, ...] = ()) -> Selection:
        """The payments picked, or all that fit the filters at this moment.

        Raises:
            BadSelection: none fits, or more than one request takes.
        """
        keys = picked
        if not keys:
            every = replace(self, after="")
            values = every._values(LARGEST_SELECTION + 1)
            rows = connection.execute(_KEYS.format(keys=every._keys()), values).fetchall()
            keys = tuple(key for (key,) in rows)
        if not keys:
            raise BadSelection("no payment fits these filters")
        if len(keys) > LARGEST_SELECTION:
            raise BadSelection("these are more than 50,000 payments: choose fewer days")
        return Selection(
            self.lender or None,
            self.channel or None,
            self.first_day,
            self.last_day,
            self.match or None,
            self.loan or None,
            keys,
        )

    def _keys(self) -> Composed:
        conditions = [SQL("true")]
        for name, condition in (
            ("channel", "r.recon_source = %(channel)s"),
            ("match", "r.match_status = %(match)s"),
            ("first_day", "r.payment_date >= %(first_day)s"),
            ("last_day", "r.payment_date <= %(last_day)s"),
            ("loan", "r.loan_external_id = %(loan)s"),
        ):
            if getattr(self, name):
                conditions.append(SQL(condition))
        if self._reads_open_work:
            if self.after:
                conditions.append(
                    SQL("(w.payment_date, w.source_key) < (%(after_day)s, %(after_key)s)")
                )
            return _OPEN_ROWS.format(where=SQL(" AND ").join(conditions))
        if self.posting != EVERY:
            conditions.append(SQL(_POSTED if self.posting == POSTED else f"NOT {_POSTED}"))
        if self.after:
            conditions.append(SQL(_AFTER))
        return _RECORDS.format(where=SQL(" AND ").join(conditions))

    @property
    def _reads_open_work(self) -> bool:
        return self.posting == OPEN and self.match not in NEVER_OPEN

    def _values(self, limit: int | None) -> dict[str, Any]:
        day, _, key = self.after.partition("~")
        return {
            "lenders": [self.lender] if self.lender else list(RECON_LENDERS),
            "states": list(OPEN_STATES),
            "channel": self.channel,
            "match": self.match,
            "first_day": self.first_day,
            "last_day": self.last_day,
            "loan": self.loan,
            "after_day": read_day(day),
            "after_key": key,
            "limit": limit,
        }


# Payments without a date come first, as the index has them.
_AFTER = """
(r.payment_date IS NULL AND %(after_day)s::date IS NULL AND r.source_key < %(after_key)s
 OR r.payment_date IS NOT NULL AND %(after_day)s::date IS NULL
 OR (r.payment_date, r.source_key) < (%(after_day)s, %(after_key)s))
"""
