"""Metrics for Prometheus, read from the database when they are asked for.

What belongs here: what is counted, and reading it cheaply. What does not: serving it
(`web.metrics`), the receiver's answers, which only the receiver knows (`web.counts`).
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import psycopg
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from psycopg import sql

from repayment_platform.sources.registry import SOURCES

Connection = psycopg.Connection[Any]
WAIT_SECONDS = 8.0
"""Prometheus gives up after ten; more who wait would only take the threads of those to come."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram of how long a posting took, from its intent to its end."""

# Below this id nothing changes any more: all is settled, and older than any transaction.
_SETTLED_TO = """
SELECT coalesce(
    min(id) FILTER (WHERE settled_at IS NULL OR intended_at > now() - interval '10 min') - 1,
    max(id), %(floor)s)
FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE id > %(floor)s
"""
_ATTEMPTS = """
SELECT source_lender, outcome, width_bucket(seconds, %(bounds)s), count(*), sum(seconds)
FROM (
    SELECT source_lender, outcome,
           extract(epoch FROM settled_at - intended_at)::float8 AS seconds
    FROM "CORE"."CORE_POSTING_ATTEMPT"
    WHERE id > %(above)s AND id <= %(to)s AND settled_at IS NOT NULL
) AS settled GROUP BY 1, 2, 3
"""
_LANDED_TO = """
SELECT coalesce(min(id) FILTER (WHERE landed_at > now() - interval '10 min') - 1, max(id),
                %(floor)s)
FROM "RAW".{table} WHERE id > %(floor)s
"""
_LANDED = 'SELECT count(*) FROM "RAW".{table} WHERE id > %(above)s AND id <= %(to)s'
_END = 2**63 - 1
_GAUGES = (
    (
        "repayment_open_payments",
        "Payments that are not settled.",
        ("lender", "state"),
        "SELECT w.source_lender, coalesce(p.status, w.state), count(*) "
        'FROM "CORE"."CORE_OPEN_WORK" w LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p '
        "ON p.source_key = w.source_key AND p.status = 'undone' GROUP BY 1, 2",
    ),
    (
        "repayment_in_doubt_payments",
        "Requests sent to Fineract of which nobody knows yet what came of them.",
        (),
        'SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE settled_at IS NULL',
    ),
    (
        "repayment_backlog_age_seconds",
        "Age of the oldest payment that an automated run should post.",
        ("lender",),
        "SELECT source_lender, extract(epoch FROM now() - min(since)) "
        'FROM "CORE"."CORE_OPEN_WORK" WHERE recon_source IS NULL '
        "AND state IN ('waiting', 'sending', 'unknown') GROUP BY 1",
    ),
    (
        "repayment_last_outcome_timestamp_seconds",
        "When the latest payment was posted or refused.",
        (),
        "SELECT extract(epoch FROM max(processed_at)) "
        'FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"',
    ),
    (
        "repayment_posting_under_way_limit",
        "Requests that may be under way to Fineract at once, as the latest run found.",
        (),
        'SELECT under_way FROM "CORE"."CORE_POSTING_PACE"',
    ),
    (
        "repayment_posting_under_way_highest",
        "The most that was in the latest run.",
        (),
        'SELECT highest FROM "CORE"."CORE_POSTING_PACE"',
    ),
    (
        "repayment_posting_latency_seconds",
        "Median of the latest repayments, from the request to Fineract's answer.",
        (),
        'SELECT latency_seconds FROM "CORE"."CORE_POSTING_PACE"',
    ),
    (
        "repayment_posting_limit_changed_timestamp_seconds",
        "When the number of requests under way changed last, and why.",
        ("why",),
        'SELECT why, extract(epoch FROM changed_at) FROM "CORE"."CORE_POSTING_PACE" '
        "WHERE why IS NOT NULL",
    ),
    (
        "repayment_open_incidents",
        "Troubles that somebody should look at.",
        ("kind",),
        'SELECT kind, count(*) FROM "CORE"."CORE_INCIDENT" WHERE resolved_at IS NULL GROUP BY 1',
    ),
)


class PlatformCollector(Collector):
    """All metrics of one database. What will not change any more is counted once and remembered,
    so a scrape costs what is new; the first one after a start reads everything."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._one_at_a_time = threading.Lock()
        self._settled = Postings()
        self._settled_to = 0
        self._landed = dict.fromkeys(SOURCES, 0)
        self._landed_to = dict.fromkeys(SOURCES, 0)

    def collect(self) -> Iterator[Metric]:
        """Raises psycopg.Error when the database is away or not migrated, TimeoutError when an
        earlier scrape is still reading."""
        if not self._one_at_a_time.acquire(timeout=WAIT_SECONDS):
            raise TimeoutError("an earlier scrape is still reading")
        try:
            yield from self._read()
        finally:
            self._one_at_a_time.release()

    def _read(self) -> Iterator[Metric]:
        with psycopg.connect(self._conninfo) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield from self._postings(connection).metrics()
            yield self._records(connection)
            for name, help_text, labels, query in _GAUGES:
                gauge = GaugeMetricFamily(name, help_text, labels=labels)
                for *values, number in connection.execute(query):
                    if number is not None:
                        gauge.add_metric(values, float(number))
                yield gauge

    def _postings(self, connection: Connection) -> "Postings":
        reached = _one(connection.execute(_SETTLED_TO, {"floor": self._settled_to}))
        self._settled.add(connection, self._settled_to, reached)
        self._settled_to = reached
        now = self._settled.copy()
        now.add(connection, reached, _END)
        return now

    def _records(self, connection: Connection) -> Metric:
        landed = CounterMetricFamily(
            "repayment_landed_records", "Rows and webhooks in RAW.", labels=("source",)
        )
        for table in SOURCES:
            name = {"table": sql.Identifier(table)}
            to, count = sql.SQL(_LANDED_TO).format(**name), sql.SQL(_LANDED).format(**name)
            above = self._landed_to[table]
            reached = _one(connection.execute(to, {"floor": above}))
            self._landed[table] += _one(connection.execute(count, {"above": above, "to": reached}))
            self._landed_to[table] = reached
            new = _one(connection.execute(count, {"above": reached, "to": _END}))
            landed.add_metric((table,), self._landed[table] + new)
        return landed


class Postings:
    """Settled attempts by lender, outcome and bucket of their duration, and the seconds in all."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, str, int]] = Counter()
        self._seconds: Counter[str] = Counter()

    def copy(self) -> "Postings":
        twin = Postings()
        twin._count, twin._seconds = self._count.copy(), self._seconds.copy()
        return twin

    def add(self, connection: Connection, above: int, to: int) -> None:
        """Add the attempts with an id in (above, to]."""
        within = {"above": above, "to": to, "bounds": list(SECONDS)}
        for lender, outcome, bucket, count, seconds in connection.execute(_ATTEMPTS, within):
            self._count[lender, outcome, bucket] += count
            self._seconds[outcome] += seconds

    def metrics(self) -> Iterator[Metric]:
        attempts = CounterMetricFamily(
            "repayment_posting_attempts",
            "Settled attempts to post a payment: success, failed, held, not_applied.",
            labels=("lender", "outcome"),
        )
        of_lender: Counter[tuple[str, str]] = Counter()
        of_bucket: Counter[tuple[str, int]] = Counter()
        for (lender, outcome, bucket), count in self._count.items():
            of_lender[lender, outcome] += count
            of_bucket[outcome, bucket] += count
        for labels, count in of_lender.items():
            attempts.add_metric(labels, count)
        yield attempts
        duration = HistogramMetricFamily(
            "repayment_posting_duration_seconds",
            "From the intent to post to its end.",
            labels=("outcome",),
        )
        for outcome, seconds in self._seconds.items():
            counts = [of_bucket[outcome, bucket] for bucket in range(len(SECONDS) + 1)]
            duration.add_metric((outcome,), list(_cumulative(counts)), seconds)
        yield duration


def _cumulative(counts: Iterable[int]) -> Iterator[tuple[str, float]]:
    """Buckets as Prometheus wants them: so many took no longer than this bound."""
    bounds = (*map(str, SECONDS), "+Inf")
    yield from zip(bounds, accumulate(counts), strict=True)


def _one(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0
