"""Processes that a command starts, watches and stops.

What belongs here: starting them, waiting until they answer, stopping them. What does not: which
they are (`parts`, `demo`), and starting again what has ended (`supervisor`).
"""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repayment_platform.commands import process_groups
from repayment_platform.commands.process_groups import KILLED_SECONDS, STOP_SECONDS
from repayment_platform.settings import ROOT

HOST = "127.0.0.1"
START_SECONDS = 180
WEBHOOK_SECRETS = ("RAZORPAY_WEBHOOK_SECRETS_", "CASHFREE_WEBHOOK_SECRETS_")
FINERACT = ("FINERACT_USERNAME", "FINERACT_PASSWORD")
ALERTS = "ALERT_URLS"
SECRETS = (*WEBHOOK_SECRETS, *FINERACT, ALERTS, "MIGRATION_DATABASE_URL")


@dataclass(frozen=True)
class Service:
    """A process of the platform, and the port that answers when it is ready."""

    name: str
    command: tuple[str, ...]
    port: int | None = None
    question: bytes = b"GET /healthz HTTP/1.0\r\n\r\n"
    """Whatever is answered shows that it does not hang; empty where it speaks first."""
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


class Process:
    """The process of a service, which may be started again, and all that it has started."""

    def __init__(self, service: Service, logs: Path, env: Mapping[str, str]) -> None:
        self.service = service
        self.name = service.name
        self.log = logs / f"{service.name}.log"
        self._env = service.environment(env)
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what an ended one had started itself goes on beside it. Its group is noted
        beside its log.

        Raises:
            OSError: its port is another program's, or the system starts none.
        """
        if self.service.port and self.answers():
            # It would end, and until then the other's answers would be taken for its own.
            raise OSError(f"port {self.service.port} is in use")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.service.command,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches this process only, which then stops them in order.
                start_new_session=True,
                env=self._env,
            )
        self._groups.add(self._process.pid)
        process_groups.note(self.log.with_suffix(".pid"), self._process.pid)

    def ended(self) -> str | None:
        """How it ended; None while it runs."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        if code < 0:
            return f"was killed by signal {-code}"
        return f"ended with code {code}"

    def answers(self) -> bool:
        """Whether its port does; one without a port is ready at once."""
        return self.service.port is None or _answers(self.service.port)

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it, but nothing that a former one has started."""
        if self._process:
            process_groups.kill(self._process.pid)

    def kill_all(self) -> None:
        """End all that is left of it and of former ones."""
        for group in self._living():
            process_groups.kill(group)

    def gone(self, deadline: float) -> bool:
        """Wait until it and all that it has started are gone; False at the deadline."""
        while self._living():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _living(self) -> set[int]:
        """Process groups, its own and those of former ones, that are not empty."""
        if self._process:
            self._process.poll()
        self._groups = {group for group in self._groups if process_groups.exists(group)}
        return self._groups


@contextmanager
def running_services(
    services: Sequence[Service], logs: Path, env: Mapping[str, str]
) -> Iterator[list[Process]]:
    """The services, each ready, its output in `logs`; all are stopped on leaving.

    Ends the command with one line, and the end of the log, when one does not start.
    """
    logs.mkdir(parents=True, exist_ok=True)
    processes = [Process(service, logs, env) for service in services]
    try:
        for process in processes:
            try:
                process.start()
            except OSError as error:
                raise SystemExit(f"{process.name} could not be started: {error}") from None
        for process in processes:
            _wait_until_ready(process)
        yield processes
    finally:
        _stop(processes)


def _wait_until_ready(process: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not process.answers():
        if process.ended() or time.monotonic() > deadline:
            log = process.log
            raise SystemExit(f"{process.name} did not start; the end of {log}:\n{process.tail()}")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _stop(processes: Sequence[Process]) -> None:
    """Ask each to end, and make sure of it, its children included.

    All of them are gone on return: what they held, such as the lock on the database, is free.
    """
    with _undisturbed():
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            if not process.gone(deadline):
                process.kill_all()
                process.gone(time.monotonic() + KILLED_SECONDS)


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
