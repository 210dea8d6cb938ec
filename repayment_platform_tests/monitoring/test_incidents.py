"""Incidents: opened once, told once to each address, resolved when over."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from repayment_platform.monitoring.channels import BadAlertUrl, channels
from repayment_platform.monitoring.findings import Finding
from repayment_platform.monitoring.incidents import keep

Connection = psycopg.Connection[Any]
SILENT = Finding("silent", "DMI", "nothing of DMI has landed")
FAILED = Finding("run_failed", "repayment_pipeline", "run 1: dbt said no")


class Inbox:
    """An address that remembers what it was told, and may be away."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.away = False

    def send(self, title: str, text: str) -> bool:
        if not self.away:
            self.told.append(f"{title}\n{text}")
        return not self.away


def test_an_incident_is_told_once_however_often_it_is_found(connection: Connection) -> None:
    inbox = Inbox()
    for _ in range(3):
        keep(connection, [SILENT], {"a": inbox.send})
    assert inbox.told == [
        "Repayments: 1 new\nNew: silent, DMI: nothing of DMI has landed",
    ]


def test_it_is_told_when_it_is_over_and_again_when_it_comes_back(connection: Connection) -> None:
    inbox = Inbox()
    for found in ([SILENT, FAILED], [FAILED], [FAILED], [SILENT, FAILED]):
        keep(connection, found, {"a": inbox.send})
    assert [told.splitlines()[0] for told in inbox.told] == [
        "Repayments: 2 new",
        "Repayments: 1 over",
        "Repayments: 1 new",
    ]
    assert "Over: silent, DMI" in inbox.told[1]


def test_an_address_that_was_away_is_told_later_and_the_others_not_again(
    connection: Connection,
) -> None:
    here, away = Inbox(), Inbox()
    away.away = True
    assert keep(connection, [SILENT], {"a": here.send, "b": away.send}).failed == ("b",)
    away.away = False
    assert keep(connection, [SILENT], {"a": here.send, "b": away.send}).sent == 1
    assert len(here.told) == len(away.told) == 1


def test_what_was_over_before_anybody_was_told_of_it_is_not_told(connection: Connection) -> None:
    inbox = Inbox()
    keep(connection, [SILENT], {})
    keep(connection, [], {"a": inbox.send})
    assert inbox.told == []


def test_two_watchers_at_once_tell_once(connection: Connection) -> None:
    inbox = Inbox()

    def watch() -> None:
        with psycopg.connect(connection.info.dsn, autocommit=True) as own:
            keep(own, [SILENT], {"a": inbox.send})

    both = [threading.Thread(target=watch) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(inbox.told) == 1


def test_a_webhook_address_receives_the_message_over_http(connection: Connection) -> None:
    with web_server() as (port, received):
        ways = channels(SecretStr(f"json://127.0.0.1:{port}/alerts?secret=yes"))
        assert keep(connection, [FAILED], ways).failed == ()
    (message,) = received
    assert message["title"] == "Repayments: 1 new"
    assert "run 1: dbt said no" in message["message"]
    told_to = connection.execute('SELECT told_to::text FROM "CORE"."CORE_INCIDENT"').fetchone()
    assert "secret" not in str(told_to)


def test_a_web_server_that_refuses_is_an_address_that_was_not_reached(
    connection: Connection,
) -> None:
    with web_server(answer=500) as (port, _):
        ways = channels(SecretStr(f"json://127.0.0.1:{port}/"))
        assert len(keep(connection, [FAILED], ways).failed) == 1


def test_an_address_that_apprise_does_not_know_is_named_by_its_place_only() -> None:
    with pytest.raises(BadAlertUrl, match="entry 2") as refused:
        channels(SecretStr("json://127.0.0.1/ nonsense://pass@word"))
    assert "word" not in str(refused.value)


@contextmanager
def web_server(answer: int = 200) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answer)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], received
        server.shutdown()
        thread.join()
