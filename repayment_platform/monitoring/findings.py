"""Trouble that the database shows: payments that wait too long, lenders that fell silent, postings
that differ from the ledger.

What belongs here: reading it. What does not: whom to tell and how often (`incidents`), failed
runs and checks, which Dagster knows of (`defs.alerts`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from repayment_platform.display import rupees
from repayment_platform.posting.allowance import TOO_LARGE
from repayment_platform.sources.dates import KOLKATA
from repayment_platform.sources.registry import LENDERS, SOURCES

Connection = psycopg.Connection[Any]

FEWEST_GAPS = 10
"""Before that many arrivals nobody can say what is usual."""
LONGEST_USUAL_GAPS = 2
"""Silent for this many times the gap that 19 of 20 do not exceed: a weekend alarms nobody."""
SHORTEST_SILENCE = timedelta(hours=6)

# What a run should have posted or ended, or what none will ever post. A payment that is reconciled
# may wait for a person as long as that takes; its time runs from when it was sent.
_WAITING = """
SELECT source_lender, count(*), sum(amount), min(since) FROM (
    SELECT w.source_lender, w.amount,
           CASE WHEN w.recon_source IS NULL THEN w.since ELSE a.intended_at END AS since
    FROM "CORE"."CORE_OPEN_WORK" w
    LEFT JOIN "CORE"."CORE_POSTING_ATTEMPT" a
        ON a.source_key = w.source_key AND a.settled_at IS NULL
    WHERE w.state IN ('sending', 'unknown', 'awaiting_approval')
       OR w.recon_source IS NULL AND (w.state = 'waiting' OR w.state = 'deferred' AND w.reason = %s)
) open
WHERE since < now() - %s
GROUP BY 1 ORDER BY 1
"""
_UNREAD = """
SELECT count(*), min(landed_at) FROM "RAW".{table}
WHERE id > (SELECT cut_id FROM "CORE"."CORE_RAW_CUT" WHERE raw_table = %s)
  AND landed_at < now() - %s
HAVING count(*) > 0
"""
_NOTE = """
INSERT INTO "CORE"."CORE_ARRIVAL" (source_lender, hour)
SELECT %s, date_trunc('hour', landed_at) FROM "RAW".{table} ORDER BY id DESC LIMIT 1
ON CONFLICT DO NOTHING
"""
_SILENT = """
WITH gaps AS (
    SELECT source_lender, hour,
           hour - lag(hour) OVER (PARTITION BY source_lender ORDER BY hour) AS gap
    FROM "CORE"."CORE_ARRIVAL" WHERE hour > now() - interval '60 days'
),
usual AS (
    SELECT source_lender, max(hour) AS last_hour, count(gap) AS gaps,
           percentile_disc(0.95) WITHIN GROUP (ORDER BY gap) AS longest
    FROM gaps GROUP BY 1
)
SELECT source_lender, last_hour, longest FROM usual
WHERE gaps >= %(fewest)s
  AND now() - last_hour > greatest(%(times)s * longest, %(shortest)s)
ORDER BY 1
"""
_DIFFERENCES = """
SELECT count(*), (extract(epoch FROM max(raised_at)) * 1000000)::bigint,
       (array_agg(coalesce(source_key, '') || ' ' || words ORDER BY raised_at DESC))[1]
FROM "CORE"."CORE_EXCEPTION"
WHERE closed_at IS NULL
  AND (NOT holds AND starts_with(kind, 'ledger_') OR kind = 'reversed_in_ledger')
HAVING count(*) > 0
"""


@dataclass(frozen=True)
class Finding:
    """One trouble. `kind` and `subject` name it; `detail` is for people and may change."""

    kind: str
    subject: str
    detail: str
    newest: int = 0
    """Greater than before when there is more of it, which is told again."""


def waiting_too_long(connection: Connection, limit: timedelta) -> list[Finding]:
    """Payments that runs should have posted or ended, or that none can, and records that no dbt
    run has read."""
    found = [
        Finding(
            "backlog",
            lender,
            f"{count} payments of {lender}, ₹ {rupees(amount)}, wait to be posted, "
            f"the oldest since {_clock(since)}",
        )
        for lender, count, amount, since in connection.execute(_WAITING, (TOO_LARGE, limit))
    ]
    for table in SOURCES:
        query = sql.SQL(_UNREAD).format(table=sql.Identifier(table))
        for count, since in connection.execute(query, (table, limit)):
            detail = f"{count} records of {table} were not read by dbt, since {_clock(since)}"
            found.append(Finding("backlog", table, detail))
    return found


def note_arrivals(connection: Connection) -> None:
    """Remember the hour of each source's newest record; to be called more often than hourly."""
    for source in SOURCES.values():
        query = sql.SQL(_NOTE).format(table=sql.Identifier(source.table))
        connection.execute(query, (source.lender,))


def silent_lenders(connection: Connection) -> list[Finding]:
    """Lenders of which nothing has landed for longer than is usual for them."""
    limits = {
        "fewest": FEWEST_GAPS,
        "times": LONGEST_USUAL_GAPS,
        "shortest": SHORTEST_SILENCE,
    }
    return [
        Finding(
            "silent",
            lender,
            f"nothing of {LENDERS[lender].name} has landed since {_clock(last)}; "
            f"it is seldom silent for more than {usual}",
        )
        for lender, last, usual in connection.execute(_SILENT, limits)
        if lender in LENDERS
    ]


def ledger_differences(connection: Connection) -> list[Finding]:
    """Open exceptions that say that the ledger differs; told again with each further one."""
    return [
        Finding(
            "ledger_differs",
            "Fineract",
            f"{count} differences from what we posted are open, the latest: {what}",
            newest,
        )
        for count, newest, what in connection.execute(_DIFFERENCES)
    ]


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(KOLKATA):%Y-%m-%d %H:%M} IST"
