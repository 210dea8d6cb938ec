"""Clients that take their time over the head of a request, at every server that people or
programs reach; and a body of nobody, which is not waited for. Each server is a process, as it is
started, but that it is less patient."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repayment_platform.settings import SANDBOX
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.waiting import wait_until
from repayment_platform_tests.web.test_hostile_clients import answer_of, sent_until_closed

IMPATIENT = """
from repayment_platform.web import patience
patience.HEAD_SECONDS = 0.5
from repayment_platform.commands import {module}
{module}.{call}
"""
SERVERS = {
    "operations": ("OPS_PORT", "operations(first=False)"),
    "metrics": ("METRICS_PORT", "metrics()"),
    "webhooks": ("WEBHOOK_PORT", "webhooks()"),
    "webserver": ("DAGSTER_PORT", "main()"),
}
UPLOAD = 50 * 1024 * 1024
Serve = Callable[[str], int]


@pytest.fixture
def serve(migrated_urls: DatabaseUrls, tmp_path: Path) -> Iterator[Serve]:
    """Starts a server; returns its port."""
    started: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "server.log"

    def start(module: str) -> int:
        name, call = SERVERS[module]
        port = free_port()
        settings = {
            "DATABASE_URL": migrated_urls.psycopg,
            "FINERACT_BASE_URL": SANDBOX,
            "REPAYMENT_HOME": str(tmp_path / "home"),
            "REPAYMENT_ENV_FILE": os.devnull,
            "CODE_SERVER_HOST": "127.0.0.1",
            "CODE_SERVER_PORT": str(free_port()),  # nobody is there
            name: str(port),
        }
        command = (sys.executable, "-c", IMPATIENT.format(module=module, call=call))
        with log.open("wb") as output:
            started.append(
                subprocess.Popen(command, env=os.environ | settings, stdout=output, stderr=output)
            )
        wait_until(lambda: lives(port) or started[-1].poll() is not None, 100)
        assert started[-1].poll() is None, log.read_text()
        return port

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=15)


def lives(port: int) -> bool:
    try:
        with connect(port) as connected:
            connected.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return answer_of(connected).startswith(b"HTTP/1.1 200 ")
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("module", SERVERS)
def test_a_head_that_comes_byte_by_byte_is_cut_off_and_others_are_served(
    serve: Serve, module: str
) -> None:
    port = serve(module)
    with connect(port) as slow, connect(port) as silent:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert sent_until_closed(slow, b"x", most=600, pause=0.1) < 600
        assert answer_of(silent) == b""
    assert lives(port)


def test_an_upload_of_nobody_is_answered_while_its_body_is_still_to_come(serve: Serve) -> None:
    port = serve("operations")
    for path, length in (("/log/upload", UPLOAD), ("/log/upload/confirm", 1000)):
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {length}\r\nCookie: operations_session=nobody\r\n\r\n"
        )
        with connect(port) as connected:
            connected.sendall(head.encode())
            answer = answer_of(connected).lower()
        assert answer.startswith(b"http/1.1 303 ")
        assert b"\r\nlocation: /login\r\n" in answer
        assert b"\r\nconnection: close\r\n" in answer
