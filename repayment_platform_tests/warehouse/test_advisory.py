"""Locks that somebody waits for, and locks that are lost while work rests on them."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.warehouse import advisory, dbt
from repayment_platform.warehouse.advisory import LockLost, LockNotHad, held, take
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.waiting import wait_until

END_HOLDERS = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisory, "LOOK_SECONDS", 0.05)


def test_who_waits_too_long_is_told_who_has_the_lock(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    with (
        held(database_urls.psycopg, 42, "the first", 5),
        pytest.raises(LockNotHad) as refusal,
    ):
        take(connection, 42, "the second", 0.1)
    said = str(refusal.value)
    assert said.startswith("the second: the lock is held by session ")
    assert f"of {database_urls.user} (" in said
    assert f"{os.getpid()}@" in said
    assert "gave up after" in said
    take(connection, 42, "the second", 0)


def test_a_negative_number_of_a_lock_is_found_as_well(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    with (
        held(database_urls.psycopg, -42, "the first", 5),
        pytest.raises(LockNotHad, match="is held by session"),
    ):
        take(connection, -42, "the second", 0)


def test_a_lost_lock_ends_what_rests_on_it_and_says_so(
    database_urls: DatabaseUrls,
    connection: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = threading.Event()

    def rest() -> None:
        with (
            held(database_urls.psycopg, "work", "working", 5) as lock,
            lock.resting(ended.set),
        ):
            connection.execute(END_HOLDERS)
            assert ended.wait(10)

    with pytest.raises(LockLost, match="working: the lock was lost"):
        rest()
    assert "working: the lock is lost: " in caplog.text


def test_a_lock_that_the_session_has_not_any_more_is_lost_too(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[psycopg.Connection[Any]] = []
    connect = psycopg.connect

    def noted(*args: Any, **kwargs: Any) -> psycopg.Connection[Any]:
        opened.append(connect(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(psycopg, "connect", noted)
    ended = threading.Event()

    def rest() -> None:
        with (
            held(database_urls.psycopg, 7, "working", 5) as lock,
            lock.resting(ended.set),
        ):
            opened[0].execute("SELECT pg_advisory_unlock_all()")
            assert ended.wait(10)

    with pytest.raises(LockLost, match="does not hold it any more"):
        rest()


def test_what_begins_to_rest_on_a_lost_lock_ends_at_once(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    ended = threading.Event()

    def rest() -> None:
        with held(database_urls.psycopg, "work", "working", 5) as lock:
            connection.execute(END_HOLDERS)
            wait_until(lambda: is_lost(lock))
            with lock.resting(ended.set):
                assert ended.is_set()

    with pytest.raises(LockLost):
        rest()


def is_lost(lock: advisory.Held) -> bool:
    try:
        lock.check()
    except LockLost:
        return True
    return False


@pytest.mark.faults
def test_a_process_of_dbt_ends_with_the_dbt_lock(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    """The process is one that never ends by itself, and ignores being interrupted."""
    dbt.END_SECONDS, former = 0, dbt.END_SECONDS
    stubborn = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"

    def run() -> None:
        with (
            dbt.dbt_session(database_urls) as session,
            subprocess.Popen([sys.executable, "-c", stubborn]) as process,
            session.resting(process),
        ):
            connection.execute(END_HOLDERS)
            process.wait()

    try:
        with pytest.raises(LockLost, match="running dbt: the lock was lost"):
            run()
    finally:
        dbt.END_SECONDS = former
    with dbt.dbt_session(database_urls):
        pass  # it is free again
