"""Running the sandbox beside the commands that use it.

What belongs here: starting, sharing and stopping the one sandbox of a home directory. What does
not: anything about its behaviour; it is reached over HTTP only.

Every user holds a shared flock on `sandbox.lock`; who can make it exclusive on leaving was the
last and stops the process. The kernel drops the lock of a killed user, so nothing is taken from
the others, and a sandbox left alone is used, and later stopped, by the next one.
"""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from repayment_platform.file_locks import LockNotHad, alone, sign, wait_for
from repayment_platform.sandbox.config import API

_HOST = "127.0.0.1"
_START_SECONDS = 30
_STOP_SECONDS = 10
_PROJECT = Path(__file__).parents[2]
_GIVEN = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Of the environment; it has no use for the settings and secrets of who starts it."""
_started: list["subprocess.Popen[bytes]"] = []
"""Kept, or Python would warn of processes that are left running on purpose."""


class SandboxError(RuntimeError):
    """The sandbox cannot be had; the message is one line that says what to do."""


@contextmanager
def running_sandbox(home: Path, port: int, latency_ms: int = 0) -> Iterator[str]:
    """The base URL of this home's sandbox, started if need be and shared with other commands.

    A sandbox that runs already keeps its own latency. Raises `SandboxError` when the port belongs
    to another program or to another home's sandbox.
    """
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = home / "sandbox.lock"
    with place.open("a+") as lock:
        _wait_for(lock, place)
        try:
            ensure_running(home, port, latency_ms)
            yield f"http://{_HOST}:{port}{API}"
        finally:
            _leave(lock, home, port)


def ensure_running(home: Path, port: int, latency_ms: int = 0) -> None:
    """Start the sandbox of this home, which the caller uses, unless it runs.

    Raises `SandboxError`.
    """
    home = home.absolute()
    try:
        with alone(home / "sandbox.start.lock", "start the sandbox"):
            if _answering_pid(home, port) is None:
                _start(home, port, latency_ms)
    except LockNotHad as waited:
        raise SandboxError(str(waited)) from None


def listens(port: int) -> bool:
    """Whether anybody answers there at all."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((_HOST, port)) == 0


def ledger_path(home: Path) -> Path:
    return home.absolute() / "sandbox.sqlite"


def _wait_for(lock: IO[str], place: Path) -> None:
    """Take part in it; waits for one who is stopping the sandbox."""
    try:
        wait_for(lock.fileno(), place, fcntl.LOCK_SH)
    except LockNotHad as waited:
        raise SandboxError(str(waited)) from None


def _leave(lock: IO[str], home: Path, port: int) -> None:
    """Stop the sandbox unless others hold the lock; newcomers wait until it has stopped."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    sign(lock.fileno(), "stop the sandbox")
    try:
        pid = _answering_pid(home, port)
    except SandboxError:
        return  # the port was a stranger's from the start
    if pid is not None:
        _stop(pid)


def _answering_pid(home: Path, port: int) -> int | None:
    """Process id of our sandbox, None when nobody listens; a stranger raises `SandboxError`."""
    connection = http.client.HTTPConnection(_HOST, port, timeout=_STOP_SECONDS)
    try:
        connection.request("GET", "/sandbox/health")
        health = json.loads(connection.getresponse().read())
        ledger, pid = health["ledger"], int(health["pid"])
    except ConnectionRefusedError:
        return None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        raise _port_taken(port, "another program") from None
    finally:
        connection.close()
    if ledger != str(ledger_path(home)):
        raise _port_taken(port, f"the sandbox of {Path(ledger).parent}")
    return pid


def _port_taken(port: int, by: str) -> SandboxError:
    return SandboxError(f"port {port} is used by {by}; set SANDBOX_PORT to a free port")


def _start(home: Path, port: int, latency_ms: int) -> None:
    """Start the process in a session of its own, so that Ctrl-C reaches only its starter."""
    arguments = ["--port", str(port), "--ledger", str(ledger_path(home))]
    arguments += ["--latency-ms", str(latency_ms)]
    with (home / "sandbox.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "repayment_platform.sandbox", *arguments],
            cwd=_PROJECT,
            env={name: os.environ[name] for name in _GIVEN if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _started.append(process)
    answered = _eventually(
        lambda: process.poll() is not None or _answering_pid(home, port) is not None,
        _START_SECONDS,
    )
    if not answered or process.poll() is not None:
        process.kill()
        raise SandboxError(f"the sandbox did not start; see {home / 'sandbox.log'}")


def _stop(pid: int) -> None:
    """Ask the process to end, and end it when it does not."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, request)
        except ProcessLookupError:
            return
        if _eventually(lambda: _is_gone(pid), _STOP_SECONDS):
            return


def _is_gone(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return True
    except ChildProcessError:
        pass  # another command started it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (happened := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened
