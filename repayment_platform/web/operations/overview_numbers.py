"""The numbers of the Overview, each from plain SQL on the tables.

What belongs here: counting and adding up. What does not: the page and its chart.
"""

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any

from repayment_platform.posting.report import state_counts
from repayment_platform.sources.dates import KOLKATA
from repayment_platform.web.operations.admin import Visit
from repayment_platform.web.operations.payment_list import OPEN_STATES, STATUSES

CHART_DAYS = 30
REMEMBER_SECONDS = 600

# What waits to be posted, whoever must act next; what a person must look at is counted apart. What
# is undone counts as held: it waits for a person.
_BACKLOG = """
SELECT source_lender AS lender, recon_source IS NOT NULL AS recon, count(*) AS payments,
       sum(amount) AS rupees, min(since) AS oldest,
       count(*) FILTER (WHERE state = 'held') AS held,
       count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'awaiting_approval') AS approvals,
       count(*) FILTER (WHERE state = 'waiting') AS waiting
FROM "CORE"."CORE_OPEN_WORK" GROUP BY 1, 2 ORDER BY 1, 2
"""
_POSTED_SINCE = """
SELECT count(*) AS payments, coalesce(sum(amount), 0) AS rupees
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status = 'success' AND processed_at >= %(since)s
"""
_POSTED_BY_DAY = """
SELECT (processed_at AT TIME ZONE 'Asia/Kolkata')::date AS day, count(*) AS payments,
       sum(amount) AS rupees
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
WHERE status = 'success' AND processed_at >= %(since)s AND processed_at < %(until)s GROUP BY 1
"""
_FAILURES = """
SELECT coalesce(p.error_code, 'no code') AS code, min(w.reason) AS example,
       count(*) AS payments, sum(w.amount) AS rupees
FROM "CORE"."CORE_OPEN_WORK" w
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
    ON p.source_key = w.source_key AND p.status = 'failed'
WHERE w.state = 'failed' GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 10
"""
_UNMATCHED = """
SELECT count(*) AS payments, coalesce(sum(amount), 0) AS rupees
FROM "CORE"."CORE_TRANSACTION_DATA" WHERE is_success AND loan_external_id IS NULL
"""
_WAITS = """
SELECT
    (SELECT count(*) FROM "CORE"."CORE_HOLD" WHERE decision IS NULL) AS holds,
    (SELECT count(*) FROM "CORE"."CORE_EXCEPTION"
     WHERE closed_at IS NULL AND NOT holds AND kind <> 'loan_unknown') AS exceptions,
    (SELECT count(*) FROM "CORE"."CORE_RECON_REQUEST" WHERE state = 'awaiting_approval')
        AS requests,
    (SELECT count(*) FROM "CORE"."CORE_RECON_REQUEST" WHERE state = 'failed') AS failed_requests,
    (SELECT count(*) FROM "CORE"."CORE_FILE_LOG"
     WHERE status = 'failed' AND received_at > now() - interval '7 days') AS failed_files,
    q.of_files AS quarantined, q.of_webhooks AS quarantined_webhooks,
    (SELECT count(*) FROM "CORE"."CORE_LENDER_SETTING" WHERE paused) AS paused
FROM (SELECT count(*) FILTER (WHERE file_id IS NOT NULL) AS of_files,
             count(*) FILTER (WHERE file_id IS NULL) AS of_webhooks
      FROM "CORE"."CORE_QUARANTINE" rejected
      WHERE replayed_at IS NULL AND NOT EXISTS (
          SELECT FROM "CORE"."CORE_FILE_LOG" corrected
          WHERE corrected.supersedes = rejected.file_id AND corrected.status = 'landed')) q
"""
_HAS_DAGSTER = "SELECT to_regclass('dagster.runs') IS NOT NULL AS yes"
_RUNS = """
SELECT run_id, pipeline_name AS job, status, to_timestamp(start_time) AS started,
       end_time - start_time AS seconds
FROM dagster.runs ORDER BY id DESC LIMIT 8
"""
_SCHEDULE = """
SELECT status FROM dagster.instigators
WHERE instigator_type = 'SCHEDULE' AND instigator_body LIKE '%%every_half_hour%%'
ORDER BY id DESC LIMIT 1
"""


@dataclass(frozen=True)
class Numbers:
    """What the Overview shows. Rupees; days of Asia/Kolkata."""

    backlog: list[dict[str, Any]]
    posted: dict[str, Any]
    """Today."""
    failures: list[dict[str, Any]]
    unmatched: dict[str, Any]
    waits: dict[str, int]
    days: list[tuple[date, int, Decimal]]
    """The last 30 days, today last: payments and rupees posted."""
    states: list[dict[str, Any]]
    """Every payment of CORE once: payments and rupees by state."""


def numbers(visit: Visit, now: datetime) -> Numbers:
    """Read all of them. `now` is the moment at which a day of Asia/Kolkata is today."""
    today = now.astimezone(KOLKATA).replace(hour=0, minute=0, second=0, microsecond=0)
    posted = visit.row(_POSTED_SINCE, since=today)
    backlog = visit.rows(_BACKLOG)
    of_open_work = {
        "approvals": sum(row["approvals"] for row in backlog),
        "recon": sum(row["waiting"] for row in backlog if row["recon"]),
    }
    return Numbers(
        backlog,
        posted,
        visit.rows(_FAILURES),
        visit.row(_UNMATCHED),
        visit.row(_WAITS) | of_open_work,
        [
            *_days_before(visit, today),
            (today.date(), posted["payments"], posted["rupees"]),
        ],
        _states(visit),
    )


def runs(visit: Visit) -> list[dict[str, Any]]:
    """The last runs of Dagster, the newest first; none where it has not run here."""
    return visit.rows(_RUNS) if visit.row(_HAS_DAGSTER)["yes"] else []


def next_run(visit: Visit, now: datetime) -> datetime | None:
    """When the half-hourly schedule ticks next; None while somebody has switched it off."""
    if visit.row(_HAS_DAGSTER)["yes"]:
        schedule = visit.row(_SCHEDULE)
        if schedule and schedule["status"] == "STOPPED":
            return None
    hour = now.astimezone(KOLKATA).replace(minute=0, second=0, microsecond=0)
    return hour + timedelta(minutes=30 if now.astimezone(KOLKATA).minute < 30 else 60)


class _Remembered:
    """Finished days, whose successes seldom change: adding them up takes a second when there are
    many, so it is done every ten minutes at most."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[tuple[str, datetime], tuple[float, dict[date, Any]]] = {}

    def days(self, visit: Visit, since: datetime, until: datetime) -> dict[date, Any]:
        with self._lock:
            read, found = self._known.get((visit.conninfo, until), (float("-inf"), {}))
            if time.monotonic() - read > REMEMBER_SECONDS:
                rows = visit.rows(_POSTED_BY_DAY, since=since, until=until)
                found = {row["day"]: row for row in rows}
                self._known = {(visit.conninfo, until): (time.monotonic(), found)}
            return found


_remembered = _Remembered()


def _days_before(visit: Visit, today: datetime) -> list[tuple[date, int, Decimal]]:
    first = today - timedelta(days=CHART_DAYS - 1)
    found = _remembered.days(visit, first, today)
    dates = [(first + timedelta(days=n)).date() for n in range(CHART_DAYS - 1)]
    nothing = {"payments": 0, "rupees": Decimal(0)}
    return [(d, (row := found.get(d, nothing))["payments"], row["rupees"]) for d in dates]


_ORDER = ("success", "undone", *OPEN_STATES, "loan_unknown", "given_back", "no_repayment")
_SLOW_SECONDS = 0.1
_counted: dict[str, tuple[float, list[dict[str, Any]]]] = {}


def _states(visit: Visit) -> list[dict[str, Any]]:
    """Counting reads the whole history; where that takes long, what was read is good for a
    hundred times as long."""
    good_until, found = _counted.get(visit.conninfo, (float("-inf"), []))
    began = time.monotonic()
    if began < good_until:
        return found
    sums: dict[str, dict[str, Any]] = {}
    for line in state_counts(visit.connection):
        nothing = {"state": line.state, "payments": 0, "rupees": Decimal(0)}
        row = sums.setdefault(line.state, nothing | {"is_listed": line.state in STATUSES})
        row["payments"] += line.payments
        row["rupees"] += line.rupees
    found = [sums[state] for state in _ORDER if state in sums]
    took = time.monotonic() - began
    if took > _SLOW_SECONDS:
        _counted[visit.conninfo] = (began + 100 * took, found)
    return found
