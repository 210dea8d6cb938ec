"""Sharing one sandbox between commands that come, go and are killed in any order."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from repayment_platform.sandbox.process import SandboxError, running_sandbox

pytestmark = pytest.mark.faults

USER = """
import sys
from pathlib import Path
from repayment_platform.sandbox.process import running_sandbox
with running_sandbox(Path(sys.argv[1]), int(sys.argv[2])) as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _user(home: Path, port: int) -> "subprocess.Popen[str]":
    """A command that uses the sandbox until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(home), str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://")
    return process


def _pid(port: int) -> int | None:
    try:
        return int(httpx.get(f"http://127.0.0.1:{port}/sandbox/health").json()["pid"])
    except httpx.ConnectError:
        return None


def _finish(user: "subprocess.Popen[str]") -> None:
    user.communicate("\n", timeout=20)


def test_a_sandbox_starts_for_its_first_user_and_stops_after_its_last(
    tmp_path: Path, port: int
) -> None:
    with running_sandbox(tmp_path, port) as url:
        assert httpx.get(url.replace("api/v1", "actuator/health")).status_code == 200
        first = _pid(port)
        with running_sandbox(tmp_path, port):
            assert _pid(port) == first
        assert _pid(port) == first
    assert _pid(port) is None


def test_the_ledger_outlives_its_process(tmp_path: Path, port: int) -> None:
    for saved in (["kept"], []):
        with running_sandbox(tmp_path, port) as url:
            root = url.partition("/fineract")[0]
            loans = [{"externalId": loan} for loan in saved]
            httpx.post(f"{root}/sandbox/loans", json=loans).raise_for_status()
            patched = httpx.patch(f"{root}/sandbox/loans/kept", json={})
            assert patched.status_code == 200


def test_the_starter_may_leave_or_be_killed_while_others_go_on(tmp_path: Path, port: int) -> None:
    starter = _user(tmp_path, port)
    with running_sandbox(tmp_path, port):
        pid = _pid(port)
        os.killpg(starter.pid, signal.SIGKILL)
        starter.communicate()
        other = _user(tmp_path, port)
        _finish(other)
        assert _pid(port) == pid is not None
    assert _pid(port) is None


def test_ctrl_c_at_the_starter_leaves_the_sandbox_to_the_others(tmp_path: Path, port: int) -> None:
    starter = _user(tmp_path, port)
    with running_sandbox(tmp_path, port):
        pid = _pid(port)
        os.killpg(starter.pid, signal.SIGINT)
        starter.communicate(timeout=20)
        assert _pid(port) == pid is not None
    assert _pid(port) is None


def test_a_sandbox_left_behind_by_a_kill_is_taken_over_and_then_stopped(
    tmp_path: Path, port: int
) -> None:
    user = _user(tmp_path, port)
    pid = _pid(port)
    user.kill()
    user.communicate()
    with running_sandbox(tmp_path, port):
        assert _pid(port) == pid is not None
    assert _pid(port) is None


def test_a_killed_sandbox_is_started_again_for_the_next_user(tmp_path: Path, port: int) -> None:
    with running_sandbox(tmp_path, port):
        first = _pid(port)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while _pid(port) is not None and time.monotonic() < deadline:
            time.sleep(0.02)
        with running_sandbox(tmp_path, port):
            assert _pid(port) not in (None, first)


def test_users_that_start_and_leave_at_once_never_lack_a_sandbox(tmp_path: Path, port: int) -> None:
    def use(_: int) -> bool:
        with running_sandbox(tmp_path, port):
            return _pid(port) is not None

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(use, range(12)))
    assert _pid(port) is None


def test_a_port_used_by_a_stranger_is_one_clear_error(tmp_path: Path, port: int) -> None:
    server = HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    with ExitStack() as stack:
        stack.callback(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        stranger = pytest.raises(SandboxError, match="another program; set SANDBOX_PORT")
        with stranger, running_sandbox(tmp_path, port):
            pass


def test_another_homes_sandbox_is_never_used_nor_stopped(tmp_path: Path, port: int) -> None:
    with running_sandbox(tmp_path / "one", port):
        refused = pytest.raises(SandboxError, match="set SANDBOX_PORT to a free port")
        with refused, running_sandbox(tmp_path / "two", port):
            pass
        assert _pid(port) is not None


def test_a_sandbox_that_cannot_start_says_where_its_reason_stands(
    tmp_path: Path, port: int
) -> None:
    (tmp_path / "sandbox.sqlite").write_text("no database, but a text of more than enough bytes")
    with pytest.raises(SandboxError, match=r"sandbox\.log"), running_sandbox(tmp_path, port):
        pass
    assert "file is not a database" in (tmp_path / "sandbox.log").read_text()


def test_a_certificate_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    options = ["--port", "0", "--ledger", str(tmp_path / "l.sqlite"), "--certificate", str(missing)]
    started = subprocess.run(
        [sys.executable, "-m", "repayment_platform.sandbox", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 2
    assert started.stderr.startswith(f"sandbox: cannot use the certificate {missing}: ")
    assert started.stderr.count("\n") == 1
