"""The schedule and sensors with real daemons: missed ticks, killed and doubled daemons.

The code server, the daemons and the runs are processes; time is set back in the database.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.commands.parts import DAEMON, WORKSPACE
from repayment_platform.commands.platform import platform
from repayment_platform.commands.services import Service, running_services
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port

pytestmark = [pytest.mark.whole, pytest.mark.faults, pytest.mark.timeout(300)]
SCHEDULED = """
SELECT r.run_id, r.status, t.value AS tick
FROM dagster.runs AS r INNER JOIN dagster.run_tags AS t USING (run_id)
WHERE t.key = '.dagster/scheduled_execution_time' AND r.pipeline_name = 'repayment_pipeline'
ORDER BY t.value
"""
STEPS = """
SELECT run_id, min(timestamp) FILTER (WHERE dagster_event_type = 'STEP_START') AS begun,
       max(timestamp) FILTER (WHERE dagster_event_type = 'STEP_SUCCESS') AS ended
FROM dagster.event_logs WHERE step_key = 'posted_repayments' GROUP BY run_id ORDER BY begun
"""
SCHEDULE = "SELECT 1 FROM dagster.instigators WHERE instigator_body LIKE '%every_half_hour%'"
BEEN_AWAY = r"""
UPDATE dagster.instigators SET instigator_body = regexp_replace(
    instigator_body, '("(?:start|last_iteration)_timestamp": )[0-9.]+',
    '\1' || extract(epoch FROM now() - interval '3 hours'), 'g')
WHERE instigator_body LIKE '%every_half_hour%'
"""


@dataclass(frozen=True)
class Scheduling:
    """An installation with a code server, on which daemons are started and killed."""

    installation: Installation
    connection: psycopg.Connection[Any]
    env: dict[str, str]

    @contextmanager
    def daemon(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        command = (sys.executable, "-m", DAEMON, "run", "--workspace", str(WORKSPACE))
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def log(self, name: str) -> Path:
        return self.installation.home / f"daemon-{name}.log"

    def away_for_three_hours(self) -> None:
        """A daemon notes the schedule and is killed; six ticks pass with none."""
        with self.daemon("first"):
            self.until(lambda: self.rows(SCHEDULE))
        self.connection.execute(BEEN_AWAY)

    def scheduled(self, *states: str) -> Any:
        """The schedule's runs, or those in a state."""
        return [run for run in self.rows(SCHEDULED) if not states or run[1] in states]

    def rows(self, query: str) -> list[Any]:
        return self.connection.execute(query).fetchall()

    def until(self, condition: Callable[[], Any], seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            logs = sorted(self.installation.home.glob("daemon-*.log"))
            assert time.monotonic() < deadline, "\n".join(log.read_text() for log in logs)[-9000:]
            time.sleep(0.02)
        return found


@pytest.fixture
def scheduling(installation: Installation) -> Iterator[Scheduling]:
    port = free_port()
    settings = Settings(
        _env_file=None,
        database_url=None,
        repayment_home=installation.home,
        fineract_base_url=SANDBOX,
        sandbox_port=installation.sandbox_port,
    )
    with platform(settings) as urls:
        names = ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL")
        env = installation.env | {name: os.environ.pop(name) for name in names}
        env |= {"CODE_SERVER_HOST": "127.0.0.1", "CODE_SERVER_PORT": str(port)}
        # It would wait for calls of daemons that were killed.
        env |= {"DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "1"}
        dagster = str(Path(sys.executable).with_name("dagster"))
        module = ("-m", "repayment_platform.definitions", "--port", str(port))
        server = Service("code-server", (dagster, "api", "grpc", *module), port)
        with (
            running_services((server,), installation.home / "logs", env),
            psycopg.connect(urls.psycopg, autocommit=True) as connection,
        ):
            yield Scheduling(installation, connection, env)


def test_of_two_daemons_one_leads_and_a_tick_that_was_missed_is_run_once_though_it_is_killed(
    scheduling: Scheduling,
) -> None:
    scheduling.away_for_three_hours()
    back = datetime.now(UTC)
    with scheduling.daemon("one") as one, scheduling.daemon("two") as two:
        scheduling.until(scheduling.scheduled)
        # Between submitting the run and launching it.
        leader = scheduling.until(lambda: other_than_the_one_that_stands_by(scheduling, one, two))
        leader.kill()
        scheduling.until(lambda: scheduling.scheduled("SUCCESS"))

    ticks = [datetime.fromisoformat(tick) for _, _, tick in scheduling.scheduled()]
    assert len(ticks) == len(set(ticks))
    (missed,) = (tick for tick in ticks if tick <= back)
    assert back - missed < timedelta(minutes=30)
    assert scheduling.installation.differences() == []


def test_a_run_by_hand_waits_for_the_schedules_run_which_outlives_its_daemon(
    scheduling: Scheduling,
) -> None:
    scheduling.away_for_three_hours()
    with scheduling.daemon("second"):
        scheduling.until(lambda: scheduling.scheduled("STARTED"))
    by_hand = scheduling.installation.start("pipeline")
    with scheduling.daemon("third"):
        output, _ = by_hand.communicate(timeout=180)
        assert by_hand.returncode == 0, output
        scheduling.until(lambda: scheduling.scheduled("SUCCESS"))

    steps = scheduling.rows(STEPS)
    assert len(steps) >= 2
    for (_, _, ended), (_, begun, _) in pairwise(steps):
        assert ended <= begun
    assert scheduling.installation.differences() == []


def other_than_the_one_that_stands_by(
    scheduling: Scheduling, one: "subprocess.Popen[bytes]", two: "subprocess.Popen[bytes]"
) -> "subprocess.Popen[bytes] | None":
    stands_by = {n: "stands by" in scheduling.log(n).read_text() for n in ("one", "two")}
    assert stands_by != {"one": True, "two": True}
    if stands_by["one"]:
        return two
    return one if stands_by["two"] else None
