"""The sentences of a payment's story.

What belongs here: turning a row of any table into dated events. What does not: reading the rows
(`payment_story`), the page.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from repayment_platform.posting.unsent import LOOK_UP
from repayment_platform.web.operations.show import day, lender_name, money, words

RULES = {
    "same_ref": "the same payment id was seen before",
    "replaces": "it corrects an earlier row",
    "same_money": "another source had reported the same money",
    "new": "nobody had reported it before",
    "proven_another": "its payment id proves that it is another payment of equal money",
    "held": "equal money was reported before, and nothing tells the two apart",
    "provisional": "it was not a payment of a known loan yet",
}
OUTCOMES = {
    "success": ("Posted in Fineract", "green", "fa-circle-check"),
    "failed": ("Fineract refused it", "red", "fa-circle-xmark"),
    "not_applied": ("Not applied; it may be sent again", "orange", "fa-rotate"),
    "held": ("Held: what Fineract has differs", "orange", "fa-hand"),
}


@dataclass
class Event:
    """Something that happened to a payment."""

    at: datetime
    title: str
    text: str = ""
    icon: str = "fa-circle"
    colour: str = "secondary"
    facts: dict[str, str] = field(default_factory=dict)
    original: str = ""
    """Text as it was sent, shown when asked for."""
    link: str = ""
    """A page of ours, from the root."""


def received(
    table: str, key: dict[str, Any], raw: dict[str, Any], base: dict[str, Any]
) -> list[Event]:
    """A row of RAW and what BASE reads in it."""
    if raw["file"]:
        where = f"row {raw['row_number']} of the file {raw['file']}"
        link = f"/log/files/{raw['file_id']}"
    else:
        where, link = f"webhook {raw['event_type'] or ''} {raw['event_id']}", ""
    facts = {words(name): _shown(name, value) for name, value in base.items() if value is not None}
    landed = Event(
        raw["landed_at"],
        f"Received: {words(base['outcome']).lower()}" if base else "Received",
        f"{table}, {where}",
        "fa-file-lines" if raw["file"] else "fa-bolt",
        "azure",
        facts,
        _original(raw),
        link,
    )
    because = key["because"] or RULES.get(key["rule"], key["rule"])
    keyed = Event(key["keyed_at"], "Named", f"This key, because {because}", "fa-key")
    return [landed, keyed]


def unified(payment: dict[str, Any], at: datetime) -> Event:
    """Its row of CORE, which is of the last time anything new was keyed."""
    count = payment["observations"]
    rows = "1 row" if count == 1 else f"{count} rows"
    text = f"CORE_TRANSACTION_DATA: {words(payment['outcome']).lower()}, from {rows}"
    if payment["not_repayment_reason"]:
        text += f"; no repayment: {payment['not_repayment_reason']}"
    return Event(at, "Unified", text, "fa-layer-group", "azure")


def hold(row: dict[str, Any]) -> list[Event]:
    """The hold, and the decision on it."""
    events = [Event(row["held_at"], "Held for a person", row["reason"], "fa-hand", "orange")]
    if row["decision"]:
        title = f"Decided by {row['decided_by']}: {words(row['decision']).lower()}"
        events.append(Event(row["decided_at"], title, row["decided_why"] or "", "fa-gavel", "blue"))
    return events


def attempt(row: dict[str, Any]) -> list[Event]:
    """The intent to post, and what came of it."""
    what = f"{money(row['amount'])} of {day(row['payment_date'])} to loan {row['loan_external_id']}"
    if row["run_id"] == LOOK_UP:
        text = f"transaction {row['resource_id']}: {what}, posted before a restore of this database"
        return [Event(row["settled_at"], "Found in Fineract", text, "fa-circle-check", "green")]
    facts = {
        "External id": row["external_id"] or row["source_key"],
        "Dagster run": row["run_id"],
        "Worker": str(row["worker"]),
        "Idempotency key": row["idempotency_key"],
    }
    sent = Event(row["intended_at"], "Sent to Fineract", what, "fa-paper-plane", "blue", facts)
    if row["outcome"] is None:
        sent.text += "; no certain answer yet"
        return [sent]
    title, colour, icon = OUTCOMES[row["outcome"]]
    text = f"transaction {row['resource_id']}" if row["resource_id"] else row["error_text"] or ""
    by = "looked up by its external id" if row["settled_by"] == "lookup" else "Fineract's answer"
    answer = {"Known by": by, "HTTP status": row["http_status"], "Code": row["error_code"]}
    known = {name: str(value) for name, value in answer.items() if value}
    ended = Event(row["settled_at"], title, text, icon, colour, known)
    if row["outcome"] != "success" or not row["undone_at"]:
        return [sent, ended]
    text = "its repayment stands in Fineract no more"
    return [sent, ended, Event(row["undone_at"], "Undone", text, "fa-rotate-left", "orange")]


def exception(row: dict[str, Any]) -> list[Event]:
    """What a person was asked to look at, and how it ended."""
    title = f"Exception: {words(row['kind']).lower()}"
    facts = {words(name): str(value) for name, value in row["detail"].items()}
    icon = "fa-triangle-exclamation"
    events = [Event(row["raised_at"], title, "", icon, "orange", facts)]
    if row["closed_at"]:
        title = f"Exception closed by {row['closed_by']}"
        events.append(Event(row["closed_at"], title, row["closed_why"] or "", "fa-check", "blue"))
    return events


def request(row: dict[str, Any]) -> list[Event]:
    """The reconciliation request that it was part of."""
    link = f"/requests/{row['id']}"
    title = f"Reconciliation requested by {row['requested_by']}"
    asked = Event(row["requested_at"], title, row["why"] or "", "fa-scale-balanced", "blue")
    asked.link = link
    if not row["decided_at"]:
        return [asked]
    verb = "refused" if row["state"] == "refused" else "approved"
    title = f"Request {row['id']} {verb} by {row['decided_by']}"
    decided = Event(row["decided_at"], title, row["decided_why"] or "", "fa-gavel", "blue")
    return [asked, decided]


def audit(row: dict[str, Any]) -> Event:
    """A row of the audit log."""
    facts = {words(name): str(value) for name, value in row["detail"].items() if value is not None}
    return Event(row["at"], f"{row['who']}: {row['action']}", "", "fa-user-pen", "secondary", facts)


def _shown(name: str, value: Any) -> str:
    if name in ("amount", "refunded_amount"):
        return money(value)
    if name == "payment_date":
        return day(value)
    return lender_name(value) if name == "source_lender" else str(value)


def _original(raw: dict[str, Any]) -> str:
    """The cells of a file's row, or the body of a webhook; JSON is laid out, not changed."""
    if raw["file"]:
        return json.dumps(raw["cells"], indent=2, ensure_ascii=False)
    return raw["laid_out"] or bytes(raw["body"]).decode("utf-8", "replace")
