"""What providers see while the database, or the receiver itself, goes away and comes back."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.web.conftest import StartReceiver
from repayment_platform_tests.web.receiving import Receiver, payment, razorpay_headers

pytestmark = pytest.mark.faults

TABLE = '"RAW"."RAW_UGRO_RAZORPAY_API"'


def landed(connection: psycopg.Connection[Any]) -> list[str]:
    query = f"SELECT event_id FROM {TABLE} ORDER BY event_id"
    return [event_id for [event_id] in connection.execute(query)]


@contextmanager
def database_away(server: DatabaseUrls, name: str) -> Iterator[None]:
    """The server ends every connection to the database and refuses new ones."""
    allow = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    with psycopg.connect(server.psycopg, autocommit=True) as admin:
        admin.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        try:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            yield
        finally:
            admin.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_the_database_away_is_503_and_served_at_once_when_it_is_back(
    receiver: Receiver, server: DatabaseUrls, database_urls: DatabaseUrls
) -> None:
    assert receiver.razorpay(payment(0), "evt_0").status_code == 200
    with database_away(server, database_urls.dbname):
        for number in (1, 2):
            answer = receiver.razorpay(payment(number), f"evt_{number}")
            assert (answer.status_code, answer.text) == (503, "database away")
            assert int(answer.headers["retry-after"]) > 0
        assert receiver.get("/readyz").status_code == 503
        assert receiver.get("/healthz").status_code == 200
    assert receiver.razorpay(payment(1), "evt_1").status_code == 200
    time.sleep(1.1)
    assert receiver.get("/readyz").status_code == 200
    with psycopg.connect(database_urls.psycopg) as connection:
        assert landed(connection) == ["evt_0", "evt_1"]
    assert receiver.log.count("deliveries cannot land") == 1
    assert receiver.log.count("deliveries land again") == 1


def test_a_receiver_started_while_the_database_is_away_serves_when_it_is_back(
    start_receiver: StartReceiver, server: DatabaseUrls, database_urls: DatabaseUrls
) -> None:
    counts = free_port()
    with database_away(server, database_urls.dbname):
        receiver = start_receiver(WEBHOOK_METRICS_PORT=str(counts))
        assert receiver.get("/readyz").status_code == 503
        assert receiver.razorpay(payment(1), "evt_1").status_code == 503
    assert receiver.razorpay(payment(1), "evt_1").status_code == 200
    metrics = httpx.get(f"http://127.0.0.1:{counts}/metrics").text
    for status in (200, 503):
        labels = f'source="RAW_UGRO_RAZORPAY_API",status="{status}"'
        assert f"repayment_webhook_answers_total{{{labels}}} 1.0" in metrics
    assert receiver.get("/metrics").status_code == 404


def test_a_connection_lost_while_idle_costs_no_delivery(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    for number in range(3):
        assert receiver.razorpay(payment(number), f"evt_{number}").status_code == 200
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'webhooks' AND datname = current_database()"
        )
    assert len(landed(connection)) == 3


def test_a_locked_table_is_503_in_time_and_holds_up_no_other_table(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    with connection.transaction(), ThreadPoolExecutor(1) as pool:
        connection.execute(f"LOCK TABLE {TABLE}")
        began = time.monotonic()
        waiting = pool.submit(receiver.razorpay, payment(1), "evt_1")
        assert receiver.razorpay(payment(2), "evt_2", "vivriti").status_code == 200
        assert time.monotonic() - began < 1
        assert waiting.result().status_code == 503
        assert time.monotonic() - began < 5
    assert "deliveries cannot land: canceling statement due to statement timeout" in receiver.log
    assert receiver.razorpay(payment(1), "evt_1").status_code == 200
    assert landed(connection) == ["evt_1"]


def test_a_database_that_no_longer_answers_is_503_in_time(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    assert receiver.razorpay(payment(0), "evt_0").status_code == 200
    [backend] = connection.execute(
        "SELECT pid FROM pg_stat_activity"
        " WHERE application_name = 'webhooks' AND datname = current_database()"
    ).fetchone() or [0]
    os.kill(backend, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert receiver.razorpay(payment(1), "evt_1").status_code == 503
        assert time.monotonic() - began < 5
    finally:
        os.kill(backend, signal.SIGCONT)
    assert receiver.razorpay(payment(1), "evt_1").status_code == 200
    assert landed(connection) == ["evt_0", "evt_1"]


class Load:
    """Threads that deliver events of their own until told to stop, and note each 200."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._stopped = threading.Event()
        self.acknowledged: set[str] = set()
        self.sent: dict[str, bytes] = {}

    @contextmanager
    def running(self, threads: int = 8) -> Iterator[None]:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(self._deliver, worker) for worker in range(threads)]
            try:
                yield
            finally:
                self._stopped.set()
        for future in futures:
            future.result()

    def _deliver(self, worker: int) -> None:
        number = 0
        with httpx.Client(trust_env=False, timeout=15) as client:
            while not self._stopped.is_set():
                number += 1
                event_id = f"evt_{worker}_{number:05d}"
                self.sent[event_id] = body = payment(worker * 100_000 + number)
                url = f"{self._url()}/webhooks/razorpay/ugro"
                try:
                    answer = client.post(
                        url, content=body, headers=razorpay_headers(body, event_id)
                    )
                except httpx.TransportError:
                    time.sleep(0.02)  # refused or cut off: a provider comes again later
                else:
                    assert answer.status_code in (200, 503)
                    if answer.status_code == 200:
                        self.acknowledged.add(event_id)


def test_every_200_is_in_raw_exactly_once_whenever_the_receiver_is_killed(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    port = free_port()
    load = Load(lambda: f"http://127.0.0.1:{port}")
    receiver = start_receiver(port)
    with load.running():
        for _ in range(3):
            time.sleep(0.5)
            receiver.stop(signal.SIGKILL)
            receiver = start_receiver(port)
        time.sleep(0.3)
    rows = landed(connection)
    assert len(rows) == len(set(rows))
    assert load.acknowledged <= set(rows) <= set(load.sent)
    assert len(load.acknowledged) > 100
    for event_id in sorted(load.sent)[:200]:
        assert receiver.razorpay(load.sent[event_id], event_id).status_code == 200
    assert len(landed(connection)) == len(set(landed(connection)))


def test_every_200_is_in_raw_exactly_once_while_the_database_comes_and_goes(
    receiver: Receiver, server: DatabaseUrls, database_urls: DatabaseUrls
) -> None:
    load = Load(lambda: receiver.url)
    with load.running():
        for _ in range(3):
            time.sleep(0.3)
            with database_away(server, database_urls.dbname):
                time.sleep(0.2)
        time.sleep(0.3)
    with psycopg.connect(database_urls.psycopg) as connection:
        rows = landed(connection)
    assert len(rows) == len(set(rows))
    assert load.acknowledged <= set(rows)
    assert len(load.acknowledged) > 50


def test_on_sigterm_what_was_received_is_committed_and_answered(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    receiver = start_receiver()
    connection.execute("BEGIN")
    connection.execute(f"LOCK TABLE {TABLE}")
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(receiver.razorpay, payment(n), f"evt_{n}") for n in range(4)]
        time.sleep(0.5)
        receiver.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(httpx.TransportError):
            receiver.get("/healthz")
        connection.execute("COMMIT")
        assert [future.result().status_code for future in waiting] == [200] * 4
    assert receiver.process.wait(10) == 0
    assert landed(connection) == [f"evt_{n}" for n in range(4)]
