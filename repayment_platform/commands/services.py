"""Processes that a command starts, watches and stops.

What belongs here: starting them, waiting until they answer, stopping them. What does not: which
they are (`up`, `demo`).
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repayment_platform.settings import ROOT

HOST = "127.0.0.1"
START_SECONDS = 180
STOP_SECONDS = 20
KILLED_SECONDS = 5
WEBHOOK_SECRETS = ("RAZORPAY_WEBHOOK_SECRETS_", "CASHFREE_WEBHOOK_SECRETS_")
FINERACT, ALERTS = "FINERACT_PASSWORD", "ALERT_URLS"
SECRETS = (*WEBHOOK_SECRETS, FINERACT, ALERTS, "MIGRATION_DATABASE_URL")


@dataclass(frozen=True)
class Service:
    """A process of the platform, and the port that answers when it is ready."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    secrets: tuple[str, ...] = ()
    """How settings begin that are secret and that it needs; it is not given the others."""

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """What it is given of an environment."""
        kept = self.secrets or ("-",)
        return {
            name: value
            for name, value in given.items()
            if not name.startswith(SECRETS) or name.startswith(kept)
        }


@contextmanager
def running_services(
    services: Sequence[Service], logs: Path, env: Mapping[str, str]
) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """The services, each ready, its output in `logs`; all are stopped on leaving.

    Ends the command with one line, and the end of the log, when one does not start.
    """
    logs.mkdir(parents=True, exist_ok=True)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for service in services:
            if service.port and _answers(service.port):
                raise SystemExit(f"port {service.port}, for {service.name}, is in use")
            with (logs / f"{service.name}.log").open("ab") as log:
                running[service.name] = subprocess.Popen(
                    service.command,
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C reaches this process only, which then stops them in order.
                    start_new_session=True,
                    env=service.environment(env),
                )
        for service in services:
            _wait_until_ready(service, running[service.name], logs)
        yield running
    finally:
        _stop(running)


def _wait_until_ready(service: Service, process: "subprocess.Popen[bytes]", logs: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while service.port and not _answers(service.port):
        if process.poll() is not None or time.monotonic() > deadline:
            log = logs / f"{service.name}.log"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise SystemExit(f"{service.name} did not start; the end of {log}:\n{tail}")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _stop(running: dict[str, "subprocess.Popen[bytes]"]) -> None:
    """Ask each to end, and make sure of it, its children included.

    All of them are gone on return: what they held, such as the lock on the database, is free.
    """
    with _undisturbed():
        for process in running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running.values():
            if not _gone(process, deadline):
                os.killpg(process.pid, signal.SIGKILL)
                _gone(process, time.monotonic() + KILLED_SECONDS)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave half of them running."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, signal.SIG_IGN) for number in asked}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _gone(process: "subprocess.Popen[bytes]", deadline: float) -> bool:
    """Wait until the process and all that it has started are gone; False at the deadline."""
    while time.monotonic() < deadline:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
