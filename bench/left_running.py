"""Whether a platform that is left running ever stands still.

    .venv/bin/python -m bench.left_running [--minutes 40]

`./run up` with the embedded PostgreSQL; as root, where the server has a user of its own, it is
hardest. Webhooks trickle in, `FAST_POSTING` has the daemon launch run after run, every sensor ticks
once a second, asked of the code server as the daemon asks, and `sql`, `status` and `doctor` are
called in turn. Nothing may wait longer than its deadline, no part may end, no run fail, no delivery
be refused.

What belongs here: waiting. What does not: kills (`repayment_platform_tests.faults.test_standing`).
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget

from bench.support import machine, show
from repayment_platform.warehouse.embedded import EmbeddedServer
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.standing import Trickle, Up

DEADLINES = {"tick": 60.0, "command": 120.0}
"""Seconds: how long Dagster waits for a sensor, and any of our commands for a lock."""
RUN_SECONDS = 300.0
"""In which at least the first run must have ended, on a machine that does other things too."""
COMMANDS = (("sql", "SELECT 1"), ("status",), ("doctor",))
RUNS = "SELECT status, count(*) FROM dagster.runs GROUP BY status ORDER BY status"


@dataclass
class Waits:
    """How long what was asked took, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def take(self, kind: str, name: str, ask: Callable[[], object]) -> None:
        """Ask and note it; what it raises, and what takes longer than its deadline, is wrong."""
        began = time.monotonic()
        try:
            ask()
        except Exception as error:  # noqa: BLE001 (noted, and told at the end)
            self.wrong.append(f"{kind} {name}: {str(error)[-2000:]}")
        took = time.monotonic() - began
        self.seconds.setdefault(f"{kind} {name}", []).append(took)
        if took > DEADLINES[kind]:
            self.wrong.append(f"{kind} {name} took {took:.0f} s")


def left_running(up: Up, minutes: float) -> Waits:
    """Let a platform that is up run for so long; returns what was waited for."""
    waits, trickle, stop = Waits(), Trickle(up), threading.Event()
    askers = (
        threading.Thread(target=_tick, args=(up, waits, stop)),
        threading.Thread(target=_command, args=(up, waits, stop)),
    )
    with trickle.flowing():
        for asker in askers:
            asker.start()
        stop.wait(60 * minutes)
        stop.set()
        for asker in askers:
            asker.join()
    waits.wrong += [f"a delivery was answered {kind}" for kind in trickle.refused.values()]
    if "starting it again" in up.output:
        waits.wrong.append(up.output)
    runs, latest = _runs(up), time.monotonic() + RUN_SECONDS
    while not runs.get("SUCCESS") and time.monotonic() < latest:
        time.sleep(1)
        runs = _runs(up)
    if not runs.get("SUCCESS") or runs.get("FAILURE"):
        waits.wrong.append(f"runs: {runs}")
    waits.seconds["runs launched"] = [float(sum(runs.values()))]
    return waits


def _runs(up: Up) -> dict[str, int]:
    """How many runs there are in each state."""
    with up.database() as connection:
        return {str(state): int(str(n)) for state, n in connection.execute(RUNS)}


def _tick(up: Up, waits: Waits, stop: threading.Event) -> None:
    dagster = {
        "DAGSTER_HOME": str(up.home / "dagster"),
        "DAGSTER_POSTGRES_URL": EmbeddedServer(up.home).urls().dagster,
    }
    target = GrpcServerTarget(
        host="127.0.0.1",
        port=int(up.ports["CODE_SERVER_PORT"]),
        socket=None,
        location_name="repayment_platform",
    )
    with (
        patch.dict(os.environ, dagster),
        DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, target) as process,
    ):
        location = process.create_request_context().get_code_location("repayment_platform")
        [repository] = location.get_repositories().values()
        while not stop.wait(1):
            for sensor in repository.get_sensors():
                waits.take(
                    "tick",
                    sensor.name,
                    lambda name=sensor.name: location.get_sensor_execution_data(
                        instance, repository.handle, name, None, None, None, None, None
                    ),
                )


def _command(up: Up, waits: Waits, stop: threading.Event) -> None:
    while not stop.is_set():
        for command in COMMANDS:
            waits.take("command", command[0], lambda asked=command: up.installation.run(*asked))


@contextmanager
def running(**env: str) -> Iterator[Up]:
    """A platform of its own that is up, ended and removed on leaving."""
    home = Path(tempfile.mkdtemp(prefix="left-running-"))
    up = Up(Installation(home, free_port()))
    try:
        up.start(**env)
        yield up
    finally:
        up.kill_everything()
        shutil.rmtree(home)


def main() -> None:
    """Print a table of what was waited for; exit with 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=40)
    minutes = parser.parse_args().minutes
    with running(FAST_POSTING="true") as up:
        waits = left_running(up, minutes)
    print(machine())
    rows = [
        (name, len(s), f"{statistics.median(s):.2f}", f"{max(s):.2f}")
        for name, s in sorted(waits.seconds.items())
    ]
    show(("asked", "times", "median", "longest"), rows)
    if waits.wrong:
        sys.exit("\n".join(waits.wrong))


if __name__ == "__main__":
    main()
