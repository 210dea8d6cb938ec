"""One payment's story: what was received, what was made of it, what was sent, who did what.

What belongs here: reading it from RAW to the audit log and telling it in order of time. What does
not: the page, changing anything.
"""

from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.sql import SQL

from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.web.operations import payment_events as told
from repayment_platform.web.operations.admin import Visit
from repayment_platform.web.operations.payment_events import Event
from repayment_platform.web.operations.payment_list import STATUS


@dataclass
class Story:
    """What a payment's page shows. Rupees; days and times of Asia/Kolkata."""

    payment: dict[str, Any]
    """Its row of CORE_TRANSACTION_DATA, with posting status and outcome."""
    events: list[Event] = field(default_factory=list)
    candidates: list[dict[str, Any]] = field(default_factory=list)
    """Other payments that its reports could be of: what is the same, what differs."""
    holds: list[dict[str, Any]] = field(default_factory=list)
    """Open ones."""
    exceptions: list[dict[str, Any]] = field(default_factory=list)
    """Open ones."""
    may_be_held: bool = False
    """It is to be posted, or a person ruled it out."""
    may_be_undone: bool = False
    """Something was amiss with its repayment, so that posting it again may be asked for."""


_REPORTS_COMPARED = 20
"""Reports of a payment that are compared with other payments; more say the same again."""
_PAYMENT = SQL("""
SELECT t.*, {status} AS status, w.reason AS open_reason, w.not_before, w.tries,
       p.external_id, p.fineract_transaction_id, p.processed_at, p.error_code, p.error_text,
       p.run_id
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
WHERE t.source_key = %(key)s
""").format(status=STATUS)
_KEYS = """
SELECT DISTINCT ON (raw_id) raw_id, raw_table, rule, because, keyed_at, payment_ref,
       loan_external_id
FROM "CORE"."CORE_PAYMENT_KEY" WHERE source_key = %(key)s ORDER BY raw_id, batch DESC
"""
_WEBHOOK = SQL("""
SELECT landed_at, event_id, event_type, body, jsonb_pretty(payload) AS laid_out,
       NULL::text AS file
FROM {table} WHERE id = %(raw_id)s
""")
_FILE = SQL("""
SELECT r.landed_at, r.cells, f.name AS file, f.id AS file_id, r.row_number
FROM {table} r LEFT JOIN "CORE"."CORE_FILE_LOG" f ON f.id = r.file_id WHERE r.id = %(raw_id)s
""")
_BASE = SQL("""
SELECT loan_external_id AS loan, loan_id_found_in, payment_date, amount, outcome, payment_ref,
       method, utr, umrn, not_repayment_reason, nullif(refunded_amount, 0) AS refunded_amount
FROM {view} WHERE raw_id = %(raw_id)s
""")
# Of each other payment what speaks for it being the same money, and what against.
_CANDIDATES = f"""
SELECT DISTINCT c.source_key, c.same, c.other, c.contradicted, t.loan_external_id AS loan,
       t.amount, t.payment_date
FROM (SELECT DISTINCT raw_id FROM "CORE"."CORE_PAYMENT_KEY"
      WHERE source_key = %(key)s AND reports ORDER BY raw_id LIMIT {_REPORTS_COMPARED}) k
CROSS JOIN LATERAL "CORE".candidates_of(k.raw_id) c
JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
ORDER BY t.payment_date, c.source_key
"""  # noqa: S608 - a number of this module
_HOLDS = 'SELECT * FROM "CORE"."CORE_HOLD" WHERE source_key = %(key)s ORDER BY id'
_ATTEMPTS = 'SELECT * FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE source_key = %(key)s ORDER BY id'
_EXCEPTIONS = """
SELECT * FROM "CORE"."CORE_EXCEPTION" WHERE source_key = %(key)s AND NOT holds ORDER BY id
"""
_AUDIT = """
SELECT at, who, action, detail FROM "CORE"."CORE_AUDIT_LOG"
WHERE subject = %(key)s OR subject = %(ref)s ORDER BY id
"""
_REQUESTS = """
SELECT r.id, r.requested_by, r.requested_at, r.why, r.state, r.decided_by, r.decided_at,
       r.decided_why
FROM "CORE"."CORE_RECON_REQUEST_ITEM" i JOIN "CORE"."CORE_RECON_REQUEST" r ON r.id = i.request_id
WHERE i.source_key = %(key)s ORDER BY r.id
"""


def story(visit: Visit, key: str) -> Story | None:
    """The story of a payment, or None where no payment has the key."""
    payment = visit.row(_PAYMENT, key=key)
    if payment is None:
        return None
    holds = visit.rows(_HOLDS, key=key)
    exceptions = visit.rows(_EXCEPTIONS, key=key)
    open_holds = [hold for hold in holds if hold["decision"] is None]
    is_none = payment["status"] == "no_repayment" or not payment["is_success"]
    is_ruled_out = is_none and payment["status"] != "success" and payment["outcome"] == "success"
    tale = Story(
        payment,
        candidates=visit.rows(_CANDIDATES, key=key),
        holds=open_holds,
        exceptions=[found for found in exceptions if found["closed_at"] is None],
        may_be_held=not open_holds
        and (payment["status"] in ("waiting", "deferred", "failed") or is_ruled_out),
        may_be_undone=payment["status"] == "undone"
        or bool(payment["status"] == "success" and exceptions)
        or any(hold["reason_code"] == UNDONE for hold in open_holds),
    )
    keys = visit.rows(_KEYS, key=key)
    events = [event for row in keys for event in _received(visit, row)]
    unified_at = max((row["keyed_at"] for row in keys), default=payment["last_landed_at"])
    events.append(told.unified(payment, unified_at))
    events += [event for hold in holds for event in told.hold(hold)]
    for attempt in visit.rows(_ATTEMPTS, key=key):
        events += told.attempt(attempt)
    events += [event for found in exceptions for event in told.exception(found)]
    for request in visit.rows(_REQUESTS, key=key):
        events += told.request(request)
    events += map(told.audit, visit.rows(_AUDIT, key=key, ref=payment["payment_ref"]))
    tale.events = sorted(events, key=lambda event: event.at)
    return tale


def _received(visit: Visit, key: dict[str, Any]) -> list[Event]:
    """A row of RAW as it came, and what BASE reads in it."""
    source = SOURCES.get(key["raw_table"])
    if source is None:
        return []
    shape = _FILE if source.kind is Kind.FILE else _WEBHOOK
    raw = visit.row(shape.format(table=sql.Identifier("RAW", source.table)), raw_id=key["raw_id"])
    view = sql.Identifier("BASE", source.table.replace("RAW_", "BASE_", 1))
    base = visit.row(_BASE.format(view=view), raw_id=key["raw_id"]) or {}
    return told.received(source.table, key, raw, base) if raw else []
