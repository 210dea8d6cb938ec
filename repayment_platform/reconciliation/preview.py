"""What a selection would post: how much, what is left out of it and why.

What belongs here: judging chosen payments, counting them, naming the exact set. What does not:
freezing them in a request (`requests`).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from psycopg import Connection, errors
from psycopg.rows import namedtuple_row

from repayment_platform.exceptions.comparison import kept_back
from repayment_platform.reconciliation.selection import MatchStatus, Selection
from repayment_platform.sources.registry import automated_lenders


class NotBuilt(Exception):
    """dbt has not built CORE in this database yet."""


@dataclass(frozen=True)
class LenderSum:
    """Payments of one lender; rupees."""

    lender: str
    payments: int
    rupees: Decimal


@dataclass(frozen=True)
class Excluded:
    """Chosen payments that would not be posted, and why; rupees."""

    reason: str
    payments: int
    rupees: Decimal


@dataclass(frozen=True)
class Preview:
    """What a request for the selection would hold; rupees."""

    count: int
    rupees: Decimal
    by_lender: list[LenderSum] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    digest: str = ""
    """Names the exact set of (key, loan, date, amount); empty where there is none."""


_AUTOMATED = ", ".join(f"'{lender}'" for lender in automated_lenders()) or "NULL"
# Why a payment cannot be posted now; null where it can. Its lender may be posted otherwise since it
# was folded.
OBJECTION = f"""
CASE
    WHEN t.source_key IS NULL THEN 'unknown payment'
    WHEN t.recon_source IS NULL OR t.source_lender IN ({_AUTOMATED})
        THEN 'of a lender that is posted automatically'
    WHEN p.status = 'success' THEN 'posted already'
    WHEN NOT t.is_success
        THEN 'no repayment: ' || coalesce(t.not_repayment_reason, 'not successful')
    WHEN p.status = 'undone' THEN 'undone in the ledger: to be posted again first'
    WHEN t.loan_external_id IS NULL THEN 'loan unknown'
    WHEN kept.state IS NOT NULL THEN coalesce(replace(kept.brief, '_', ' '), kept.reason)
    WHEN o.request_id IS NOT NULL THEN 'in request ' || o.request_id || ' already'
END
"""
# A new request leaves out what an earlier run has not ended; a run settles it first and goes on.
_IN_DOUBT = """
CASE WHEN w.state IN ('sending', 'unknown') THEN 'a request to Fineract is under way or in doubt'
     WHEN w.state = 'awaiting_approval' THEN 'awaits approval in Fineract' END
"""
JUDGED_BY = f"""
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = c.source_key
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    ON p.source_key = c.source_key AND p.status <> 'failed'
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = c.source_key
LEFT JOIN "CORE"."CORE_RECON_REQUEST_ITEM" o
    ON o.source_key = c.source_key AND o.open AND o.request_id <> %(own_request)s
LEFT JOIN LATERAL ({kept_back("t")}) kept ON true
"""
"""What OBJECTION looks at, for payments `c`."""

_FILTERED = 'SELECT r.source_key, r.match_status, true AS fits FROM "CORE"."CORE_RECON_RECORD" r'
_PICKED = """
SELECT k.source_key, r.match_status, r.source_key IS NOT NULL AS fits
FROM (SELECT DISTINCT unnest(%(keys)s::text[]) AS source_key) k
LEFT JOIN "CORE"."CORE_RECON_RECORD" r ON r.source_key = k.source_key"""
_JUDGED = f"""
WITH chosen AS ({{chosen}}), judged AS MATERIALIZED (
    SELECT c.source_key, c.match_status, t.source_lender, t.loan_external_id, t.payment_date,
           t.amount,
           coalesce({OBJECTION}, {_IN_DOUBT},
                    CASE WHEN NOT c.fits THEN 'not within the filters' END) AS reason
    FROM chosen c {JUDGED_BY}
), total AS (
    SELECT count(*)::integer AS payments, coalesce(sum(amount), 0) AS rupees,
           encode(sha256(convert_to(string_agg(
               concat_ws('|', source_key, loan_external_id, payment_date, amount),
               E'\\n' ORDER BY source_key COLLATE "C"), 'UTF8')), 'hex') AS digest
    FROM judged WHERE reason IS NULL
)
"""  # noqa: S608 - the parts are constants of this package
_COUNTED = """
SELECT j.source_lender AS lender, j.reason, j.match_status, count(*) AS payments,
       coalesce(sum(j.amount), 0) AS rupees, (SELECT digest FROM total) AS digest
FROM judged j GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_NOT_OF_RECON = """
SELECT source_key, reason FROM judged WHERE reason IN ({}) ORDER BY source_key
"""
_STRANGE = ("unknown payment", "of a lender that is posted automatically", "not within the filters")

_WARN_OF = {
    MatchStatus.AMOUNT_DIFFERS: "{} of them: the sources differ about the amount",
    MatchStatus.GATEWAY_ONLY: "{} of them: no settlement or lender file confirms it yet",
    MatchStatus.SETTLEMENT_ONLY: "{} of them: the gateway has not reported it",
}


def preview(connection: Connection[Any], selection: Selection, *, own_request: int = 0) -> Preview:
    """Judge the selection as it stands now; changes nothing. What is in another open request than
    `own_request` is left out.

    Raises:
        BadSelection: it makes no sense.
        NotBuilt: dbt has not built CORE yet.
    """
    selection.validate()
    rows = _read(connection, *judged(selection, _COUNTED, own_request))
    by_lender, excluded = _Sums(), _Sums()
    by_status: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        if row.reason:
            excluded.add(row.reason, row)
        else:
            by_lender.add(row.lender, row)
            by_status[row.match_status] += row.payments
    return Preview(
        sum(payments for payments, _ in by_lender.values()),
        sum((rupees for _, rupees in by_lender.values()), Decimal(0)),
        [LenderSum(lender, *sums) for lender, sums in by_lender.items()],
        [Excluded(reason, *sums) for reason, sums in excluded.items()],
        [text.format(by_status[status]) for status, text in _WARN_OF.items() if by_status[status]],
        (rows[0].digest or "") if rows else "",
    )


def strangers(connection: Connection[Any], selection: Selection) -> list[tuple[str, str]]:
    """Of the picked keys those that are no payments of this selection, each with the reason.

    Raises: as `preview`.
    """
    selection.validate()
    reasons = ", ".join(f"'{reason}'" for reason in _STRANGE)
    return _read(connection, *judged(selection, _NOT_OF_RECON.format(reasons)))


def judged(selection: Selection, then: str, own_request: int = 0) -> tuple[str, dict[str, Any]]:
    """A statement that goes on from `judged` (the chosen payments, each with the reason why it
    cannot be posted) and `total` (of those without one), and its parameters."""
    where = selection.where()
    chosen = f"{_PICKED} AND {where}" if selection.keys else f"{_FILTERED} WHERE {where}"
    return _JUDGED.format(chosen=chosen) + then, selection.parameters() | {
        "own_request": own_request
    }


def _read(connection: Connection[Any], query: str, parameters: dict[str, Any]) -> list[Any]:
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        try:
            cursor.execute(query, parameters)
        except errors.UndefinedTable:
            raise NotBuilt("CORE is not built yet: run dbt first") from None
        return cursor.fetchall()


class _Sums(dict[str, tuple[int, Decimal]]):
    """Payments and rupees by a word."""

    def add(self, word: str, row: Any) -> None:
        payments, rupees = self.get(word, (0, Decimal(0)))
        self[word] = (payments + row.payments, rupees + row.rupees)
