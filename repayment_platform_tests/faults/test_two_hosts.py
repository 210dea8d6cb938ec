"""Two posting workers on hosts of their own, which reach PostgreSQL and Fineract over a network."""

import asyncio
import multiprocessing
import os
import signal
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from repayment_platform.posting.model import PostingStopped
from repayment_platform.posting.runner import run_posting
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.faults.network import Link, links
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench, bench, database_urls
from repayment_platform_tests.waiting import wait_until

__all__ = ["bench", "database_urls"]
pytestmark = pytest.mark.faults

LOANS = 60
QUICK = {"fineract_timeout_seconds": 1.8, "fineract_settle_seconds": 1.2, "posting_workers": 10}
REFUSED, LOST = 3, 4
LATER = """
SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE run_id = %s AND intended_at > %s
"""


def test_what_a_host_that_is_cut_off_had_in_hand_is_taken_over_and_posted_once(
    bench: Bench, database_urls: DatabaseUrls
) -> None:
    keys = backlog(bench)
    with hosts_links(bench, database_urls) as (to_database, to_fineract):
        first = start(bench, database_urls, to_database, to_fineract)
        wait_until(lambda: len(bench.posts()) > 20)
        to_database.cut()
        to_fineract.cut()
        cut_at = bench.one("SELECT clock_timestamp()")[0]

        second = bench.post(**QUICK)

        to_database.mend()
        to_fineract.mend()
        first.join(60)
    assert first.exitcode in (REFUSED, LOST)
    assert 0 < second.total("posted") < len(keys)
    posted_once(bench, keys)
    assert bench.one(LATER, "run-first", cut_at) == (0,)


def test_a_host_that_stood_still_while_its_work_was_taken_over_changes_nothing_afterwards(
    bench: Bench, database_urls: DatabaseUrls
) -> None:
    keys = backlog(bench)
    with hosts_links(bench, database_urls) as (to_database, to_fineract):
        first = start(bench, database_urls, to_database, to_fineract)
        wait_until(lambda: len(bench.posts()) > 20)
        os.kill(first.pid or 0, signal.SIGSTOP)
        to_database.cut()  # a machine that stands still answers no keepalive
        stopped_at = bench.one("SELECT clock_timestamp()")[0]

        second = bench.post(**QUICK)
        sent = len(bench.posts())

        to_database.mend()
        os.kill(first.pid or 0, signal.SIGCONT)
        first.join(60)
    assert first.exitcode in (REFUSED, LOST)
    assert 0 < second.total("posted") < len(keys)
    posted_once(bench, keys)
    assert bench.one(LATER, "run-first", stopped_at) == (0,)
    # What it was just about to send may leave late; its external id is taken by then.
    late = len(bench.posts()) - sent
    assert 0 <= late <= QUICK["posting_workers"]


def backlog(bench: Bench) -> set[str]:
    """Two payments of each loan, in a sandbox that takes a while for each."""
    names = [f"LN-{n:03}" for n in range(LOANS)]
    bench.loans(*names)
    bench.faults({"kind": "latency", "ms": 80, "jitter_ms": 80})
    return {bench.payment(name, "10.00", DAY + timedelta(n)) for name in names for n in (0, 1)}


def hosts_links(bench: Bench, urls: DatabaseUrls) -> Any:
    return links(
        partial(asyncio.open_unix_connection, f"{urls.host}/.s.PGSQL.{urls.port}")
        if urls.host.startswith("/")
        else partial(asyncio.open_connection, urls.host, urls.port),
        partial(asyncio.open_connection, "127.0.0.1", bench.sandbox.port),
    )


def start(
    bench: Bench, urls: DatabaseUrls, to_database: Link, to_fineract: Link
) -> multiprocessing.process.BaseProcess:
    """A posting run as a process that knows only its host's ends of the links."""
    conninfo = DatabaseUrls("127.0.0.1", to_database.port, urls.user, urls.dbname).psycopg
    settings = bench.settings.model_copy(update={"sandbox_port": to_fineract.port, **QUICK})
    run = multiprocessing.get_context("spawn").Process(target=host, args=(settings, conninfo))
    run.start()
    return run


def host(settings: Settings, conninfo: str) -> None:
    try:
        run_posting(settings, conninfo, AUTOMATED, "run-first")
    except PostingStopped:
        os._exit(REFUSED)
    except psycopg.OperationalError:
        os._exit(LOST)


def posted_once(bench: Bench, keys: set[str]) -> None:
    assert sorted(key for key, _, _ in bench.ledger()) == sorted(keys)
    assert bench.states() == dict.fromkeys(keys, "success")
    assert bench.one(
        'SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE settled_at IS NULL'
    ) == (0,)
