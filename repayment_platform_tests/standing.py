"""A whole platform, started by `./run up`, whose parts are killed while webhooks come in.

What belongs here: the process of `up`, the processes that it has started, a trickle of deliveries
that notes how each was answered. What does not: what is expected of them.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from repayment_platform.warehouse.embedded import EmbeddedServer
from repayment_platform.web.operations import sessions
from repayment_platform.web.operations.auth import COOKIE
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.waiting import wait_until
from repayment_platform_tests.web.receiving import SECRETS, payment, razorpay_headers

PORTS = ("DAGSTER_PORT", "CODE_SERVER_PORT", "WEBHOOK_PORT", "OPS_PORT", "METRICS_PORT")
COMMANDS = {
    "webhooks": "cli webhooks",
    "operations": "cli operations",
    "metrics": "cli metrics",
    "dagster-webserver": "commands.webserver",
    "dagster-daemon": "commands.daemon",
    "code-server": "commands.code_server",
    "sandbox": "repayment_platform.sandbox ",
}
"""By what each part is known among the processes."""
LANDED = 'SELECT event_id FROM "RAW"."RAW_UGRO_RAZORPAY_API"'
BEEN_AWAY = r"""
UPDATE dagster.instigators SET instigator_body = regexp_replace(
    instigator_body, '("(?:start|last_iteration)_timestamp": )[0-9.]+',
    '\1' || extract(epoch FROM now() - interval '1 hour'), 'g')
WHERE instigator_body LIKE '%every_half_hour%'
"""
# Or the tick that is due by then would be known as one that has had its run.
FORGET_TICKS = """
WITH ticks AS (DELETE FROM dagster.job_ticks WHERE tick_body LIKE '%every_half_hour%')
UPDATE dagster.run_tags SET value = value || ' (earlier)'
WHERE key = '.dagster/scheduled_execution_time' AND value NOT LIKE '%(earlier)'
"""
SCHEDULED = """
SELECT r.status, count(*)
FROM dagster.runs AS r INNER JOIN dagster.run_tags AS t USING (run_id)
WHERE t.key = '.dagster/scheduled_execution_time' AND r.pipeline_name = 'repayment_pipeline'
GROUP BY r.status
"""


def processes(home: Path) -> dict[int, str]:
    """The command lines of all processes that have to do with this home, by process id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            about = command + (place / "environ").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        except PermissionError:
            about = command  # as of the embedded server, which may have a user of its own
        if command and str(home) in about:
            found[int(place.name)] = command
    return found


@dataclass
class Up:
    """`./run up` on one home, and what it has said."""

    installation: Installation
    ports: dict[str, str] = field(default_factory=lambda: {p: str(free_port()) for p in PORTS})
    said: list[str] = field(default_factory=list)
    process: "subprocess.Popen[str] | None" = None
    command: tuple[str, ...] = (sys.executable, "-m", "repayment_platform.cli", "up")
    place: Path | None = None
    """The folder in which it is typed; any."""

    @property
    def environment(self) -> dict[str, str]:
        return self.installation.env | self.ports | SECRETS

    @property
    def home(self) -> Path:
        return self.installation.home

    def start(self, **env: str) -> None:
        """Start it and wait until it says that all runs."""
        self.said.clear()
        self.process = subprocess.Popen(
            self.command,
            cwd=self.place,
            env=self.environment | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.until_it_says("Ctrl-C")

    def until_it_says(self, words: str, times: int = 1) -> None:
        """Wait for a line of its output."""
        try:
            wait_until(lambda: self.output.count(words) >= times, 240)
        except AssertionError:
            raise AssertionError(f"{words!r} was not said:\n{self.output}") from None

    @property
    def output(self) -> str:
        return "".join(self.said)

    def pid(self, part: str) -> int:
        if part == "PostgreSQL":
            return int((self.home / "pgdata" / "postmaster.pid").read_text().split()[0])
        [pid] = [n for n, command in processes(self.home).items() if COMMANDS[part] in command]
        return pid

    def kill(self, part: str) -> None:
        """Kill a part, and wait until `up` has started it again."""
        before = self.output.count(f"{part} runs again")
        os.kill(self.pid(part), signal.SIGKILL)
        self.until_it_says(f"{part} runs again", before + 1)

    def kill_everything(self) -> None:
        """What a machine does that loses its power."""
        while left := processes(self.home):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # with the one before
            if self.process:
                self.process.wait()

    @contextmanager
    def database(self) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
        urls = EmbeddedServer(self.home).urls()
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            yield connection

    @contextmanager
    def screens(self, role: str) -> Iterator[httpx.Client]:
        """The operations screens as a user of that role, who is made, sees them."""
        here = f"http://127.0.0.1:{self.ports['OPS_PORT']}"
        with (
            self.database() as connection,
            httpx.Client(base_url=here, headers={"origin": here}, trust_env=False) as client,
        ):
            connection.execute(
                """INSERT INTO "CORE"."CORE_USER" (name, password_hash, role)
                   VALUES (%(role)s, 'none', %(role)s)""",
                {"role": role},
            )
            client.cookies.set(COOKIE, sessions.start(connection, role))
            client.get("/login")
            yield client

    def next_tick_works(self) -> None:
        """Make the half-hourly schedule miss a tick, and wait until its run has succeeded."""
        before = self.succeeded()
        self.miss_a_tick()
        wait_until(lambda: self.succeeded() > before, 240)

    def miss_a_tick(self) -> None:
        """As if the daemon had been away for an hour; it remembers when it looked, so it is
        killed."""
        with self.database() as connection:
            connection.execute(FORGET_TICKS)
            wait_until(lambda: connection.execute(BEEN_AWAY).rowcount > 0, 120)
        self.kill("dagster-daemon")

    def succeeded(self) -> int:
        """How many runs of the schedule have."""
        with self.database() as connection:
            return dict(connection.execute(SCHEDULED).fetchall()).get("SUCCESS", 0)

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        self.said.extend(process.stdout)


@dataclass
class Trickle:
    """Deliveries that are sent one after another, each under its own event id."""

    up: Up
    taken: set[str] = field(default_factory=set)
    """Answered 200."""
    refused: dict[str, str] = field(default_factory=dict)
    """Everything else, with what came instead."""
    _number: int = 0

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Deliveries come as long as the block runs."""
        stop = threading.Event()
        sender = threading.Thread(target=self._flow, args=(stop,))
        sender.start()
        try:
            yield
        finally:
            stop.set()
            sender.join()

    def send_refused_again(self) -> None:
        """Until all are taken, as a gateway does."""
        deadline = time.monotonic() + 120
        while self.refused:
            assert time.monotonic() < deadline, self.refused
            for event in list(self.refused):
                self._send(event)

    def landed(self) -> list[str]:
        with self.up.database() as connection:
            return [str(event) for (event,) in connection.execute(LANDED)]

    def _flow(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            self._number += 1
            self._send(f"evt_{self._number}")

    def _send(self, event: str) -> None:
        body = payment(int(event.removeprefix("evt_")))
        url = f"http://127.0.0.1:{self.up.ports['WEBHOOK_PORT']}/webhooks/razorpay/ugro"
        try:
            # A connection each, as from a gateway of many machines.
            answer = httpx.post(
                url, content=body, headers=razorpay_headers(body, event), trust_env=False
            )
        except httpx.TransportError as error:
            self.refused[event] = type(error).__name__
            return
        if answer.status_code == 200:
            self.taken.add(event)
            self.refused.pop(event, None)
        else:
            self.refused[event] = str(answer.status_code)
