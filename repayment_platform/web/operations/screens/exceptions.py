"""Exceptions: held payments, payments without a loan, posted payments that changed.

What belongs here: the three lists and the acts on them. What does not: the acts' own rules
(`exceptions.decisions`, `reconciliation`).
"""

from datetime import date

from psycopg.sql import SQL
from starlette.responses import Response

from repayment_platform.exceptions.decisions import (
    SEEN,
    HasChanged,
    NeedsRepost,
    NoSuchException,
    NotOfItsKind,
    RuledOut,
    decide,
)
from repayment_platform.exceptions.kinds import Decision, Right, choices_of
from repayment_platform.web.operations.admin import Screen, Visit, page
from repayment_platform.web.operations.listing import (
    COUNT_TO,
    PAGE_ROWS,
    Listing,
    count_words,
    read_number,
)
from repayment_platform.web.operations.users import Role

_HOLDS = SQL(f"""
SELECT h.id, h.source_key, h.kind AS reason_code, h.words AS reason, h.raised_at AS held_at,
       h.facts ->> 'other_key' AS other_key,
       {SEEN} AS seen,
       t.source_lender AS lender, t.loan_external_id AS loan, t.amount, t.payment_date,
       t.payment_ref, w.recon_source
FROM "CORE"."CORE_EXCEPTION" h
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
WHERE h.holds AND h.decision IS NULL AND h.id > %(after)s AND {{where}}
ORDER BY h.id LIMIT %(limit)s
""")  # noqa: S608 (the part is a constant)
_HOLDS_COUNT = SQL("""
SELECT count(*) AS n FROM (
    SELECT 1 FROM "CORE"."CORE_HOLD" h WHERE decision IS NULL AND {where} LIMIT %(most)s) c
""")
_POSTED = SQL(f"""
SELECT h.id, h.source_key, h.kind, h.detail, h.raised_at, h.words AS what,
       coalesce(h.detail ->> 'lender', p.source_lender) AS lender, p.fineract_transaction_id,
       {SEEN} AS seen
FROM "CORE"."CORE_EXCEPTION" h
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
WHERE h.closed_at IS NULL AND NOT h.holds AND h.id > %(after)s AND {{where}}
ORDER BY h.id LIMIT %(limit)s
""")  # noqa: S608 (the part is a constant)
_POSTED_COUNT = SQL("""
SELECT count(*) AS n FROM (
    SELECT 1 FROM "CORE"."CORE_EXCEPTION" h
    WHERE closed_at IS NULL AND NOT holds AND {where} LIMIT %(most)s) c
""")


class Exceptions(Screen):
    """What only a person can decide."""

    menu_label = "Exceptions"
    icon = "fa-solid fa-triangle-exclamation"
    path = "/exceptions"

    @page("", Role.VIEWER)
    def index(self, visit: Visit) -> Response:
        """Held payments, the one that waits longest first."""
        listing = _list(visit, _HOLDS, _HOLDS_COUNT, "h.source_key = %(key)s")
        return self.show(visit, "exceptions_held.html", listing=listing, decisions=choices_of)

    @page("/posted", Role.VIEWER)
    def posted(self, visit: Visit) -> Response:
        """Posted payments that changed since, and differences of the ledger."""
        listing = _list(visit, _POSTED, _POSTED_COUNT, "h.source_key = %(key)s")
        return self.show(visit, "exceptions_posted.html", listing=listing, decisions=choices_of)

    @page("/{number:int}", Role.OPERATOR, "POST")
    def decide(self, visit: Visit) -> Response:
        """Decide one, of whatever kind; takes effect with the next run."""
        number, why = visit.request.path_params["number"], visit.text("why")
        back = "/exceptions/posted" if visit.text("list") == "posted" else "/exceptions"
        try:
            decision, day = Decision(visit.text("decision")), _day(visit.text("day"))
        except ValueError:
            decision = None
        if decision is None or len(why) < 3:
            visit.tell("Nothing was decided: choose what it is, and say why.", "warning")
            return visit.go(back)
        who, seen, right = visit.user.username, visit.text("seen"), _right(visit)
        loan = visit.text("loan") or None
        try:
            decide(
                visit.connection, number, decision, who, why, seen, right=right, day=day, loan=loan
            )
        except HasChanged:
            visit.tell("Nothing was decided: the payment has changed. Look at it again.", "warning")
        except RuledOut as error:
            visit.tell(f"Nothing was decided: {error}, on the payment's own page.", "warning")
        except NotOfItsKind as error:
            visit.tell(f"Nothing was decided: {error}.", "warning")
        except NeedsRepost:
            visit.tell("Nothing was decided: post it again on the payment's own page.", "warning")
        except (NoSuchException, OverflowError):
            visit.tell("Nothing was changed: this is decided already.", "warning")
        else:
            visit.tell("Decided. It takes effect with the next run.")
        return visit.go(back)


def _day(given: str) -> date | None:
    return date.fromisoformat(given) if given else None


def _right(visit: Visit) -> Right:
    return Right.APPROVER if visit.may(Role.APPROVER) else Right.OPERATOR


def _list(visit: Visit, query: SQL, count: SQL, of_key: str) -> Listing:
    """A page of open cases, the oldest first; with `q` those of one payment."""
    key, after = visit.query.get("q", ""), visit.query.get("after", "")
    where = SQL(of_key) if key else SQL("true")
    rows = visit.rows(
        query.format(where=where),
        key=key,
        after=read_number(after, 0),
        limit=PAGE_ROWS + 1,
    )
    counted = visit.row(count.format(where=where), key=key, most=COUNT_TO + 1)["n"]
    return Listing.cut(rows, after, count_words(counted), lambda row: str(row["id"]))
