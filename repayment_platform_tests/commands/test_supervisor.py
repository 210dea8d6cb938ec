"""Parts that end, and how the supervisor starts them again; the processes are real ones."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repayment_platform.commands import services, supervisor
from repayment_platform.commands.services import Process, Service, running_services
from repayment_platform.commands.supervisor import Supervisor
from repayment_platform_tests.ports import free_port

SERVES = """
import http.server, os, sys
print("pid", os.getpid(), flush=True)
address = ("127.0.0.1", int(sys.argv[1]))
http.server.HTTPServer(address, http.server.BaseHTTPRequestHandler).serve_forever()
"""
ENDS = "import sys; print('began', flush=True); sys.exit(3)"
HAS_A_CHILD = """
import os, subprocess, sys, time
print(os.getpid(), subprocess.Popen(["sleep", "60"]).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "STOP_SECONDS", 2)
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "PAUSES", (0.0, 0.05, 0.1))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Process]]:
    with running_services([serving("first"), serving("second")], tmp_path, os.environ) as running:
        yield running


def serving(name: str) -> Service:
    port = free_port()
    return Service(name, (sys.executable, "-c", SERVES, str(port)), port)


def pids(process: Process) -> list[int]:
    words = process.log.read_text().split()
    return [int(pid) for word, pid in zip(words[::2], words[1::2], strict=True) if word == "pid"]


def until(condition: Callable[[], bool]) -> Callable[[], int | None]:
    """Asks the supervisor to leave once a condition holds."""
    return lambda: 7 if condition() else None


def test_a_part_that_was_killed_runs_again_and_the_others_never_ended(
    two: list[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two
    os.kill(pids(first)[0], signal.SIGKILL)
    said: list[str] = []

    def runs_again() -> bool:
        said.append(capsys.readouterr().err)
        return "first runs again" in "".join(said)

    assert Supervisor(two).run(until(runs_again)) == 7
    assert "first was killed by signal 9; starting it again\n" in "".join(said)
    assert len(pids(first)) == 2
    assert len(pids(second)) == 1
    assert second.answers()


def test_a_part_that_keeps_ending_is_started_ever_more_slowly_and_never_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_services(
        [Service("broken", (sys.executable, "-c", ENDS))], tmp_path, os.environ
    ) as running:
        (broken,) = running
        Supervisor(running).run(until(lambda: broken.log.read_text().count("began") == 6))
    said = capsys.readouterr().err
    assert said.count("broken ended with code 3; starting it again") >= 5
    assert "again in 0 s" in said  # the pauses of this test are parts of a second


def test_a_part_that_cannot_be_started_is_tried_again(
    two: list[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = two
    away = first.log.parent
    os.kill(pids(first)[0], signal.SIGKILL)
    moved = away.rename(away.with_name("moved"))  # its log cannot be opened
    said: list[str] = []

    def could_not() -> bool:
        said.append(capsys.readouterr().err)
        if "first could not be started" in "".join(said) and moved.exists():
            moved.rename(away)
        return "first runs again" in "".join(said)

    Supervisor(two).run(until(could_not))
    assert len(pids(first)) == 2


def test_what_a_killed_part_had_started_goes_on_and_is_gone_when_all_are_stopped(
    tmp_path: Path,
) -> None:
    service = Service("parent", (sys.executable, "-c", HAS_A_CHILD))
    with running_services([service], tmp_path, os.environ) as running:
        (parent,) = running

        def said() -> list[int]:
            return [int(pid) for pid in parent.log.read_text().split()]

        Supervisor(running).run(until(lambda: len(said()) == 2))
        former, child = said()
        os.kill(former, signal.SIGKILL)
        Supervisor(running).run(until(lambda: len(said()) == 4))
        os.kill(child, 0)
    for child in said()[1::2]:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
