"""Parts that end, and how the supervisor starts them again; the processes are real ones."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repayment_platform.commands import process_groups, services, supervisor
from repayment_platform.commands.parts import Shared
from repayment_platform.commands.process_groups import end_left_over
from repayment_platform.commands.services import Process, Service, running_services
from repayment_platform.commands.supervisor import Supervisor
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.waiting import wait_until

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
    monkeypatch.setattr(process_groups, "STOP_SECONDS", 2)
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


def test_a_part_whose_port_is_another_programs_is_not_said_to_run(
    two: list[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two
    os.kill(pids(first)[0], signal.SIGKILL)
    assert first.service.port
    wait_until(lambda: not first.answers())
    other = socket.create_server(("127.0.0.1", first.service.port))
    said: list[str] = []

    def was_said(words: str, times: int) -> bool:
        said.append(capsys.readouterr().err)
        return "".join(said).count(words) >= times

    with other:
        Supervisor(two).run(until(lambda: was_said(f"port {first.service.port} is in use", 3)))
        assert "runs again" not in "".join(said)
    Supervisor(two).run(until(lambda: was_said("first runs again", 1)))
    assert second.ended() is None


class Lost:
    """A part that cannot be asked whether it runs."""

    name = "lost"

    def start(self) -> None:
        raise AssertionError

    def ended(self) -> str | None:
        raise PermissionError("its files cannot be read")

    def answers(self) -> bool:
        raise AssertionError

    def kill(self) -> None:
        raise AssertionError


def test_a_part_that_cannot_be_asked_keeps_no_other_from_being_started_again(
    two: list[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = two
    os.kill(pids(first)[0], signal.SIGKILL)
    Supervisor([Lost(), *two]).run(until(lambda: len(pids(first)) == 2))
    assert capsys.readouterr().err.count("lost cannot be looked at (its files cannot be read)") == 1


def test_parts_are_started_again_though_nothing_can_be_said_of_it(
    two: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = two
    os.kill(pids(first)[0], signal.SIGKILL)
    reading, writing = os.pipe()
    os.close(reading)
    gone = io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", gone)
        Supervisor(two).run(until(lambda: len(pids(first)) == 2))
    gone.detach().close()


def test_while_a_shared_part_is_coming_the_others_are_looked_at(
    two: list[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    coming = threading.Event()

    class Slow(Shared):
        name = "slow"
        up = False

        def start_it(self) -> None:
            coming.wait(60)
            self.up = True

        def runs(self) -> bool:
            return self.up

    first, _ = two
    said: list[str] = []

    def was_said(words: str) -> bool:
        said.append(capsys.readouterr().err)
        return words in "".join(said)

    supervisor = Supervisor([Slow(), *two])
    supervisor.run(until(lambda: was_said("slow ended; starting it again")))
    os.kill(pids(first)[0], signal.SIGKILL)
    supervisor.run(until(lambda: was_said("first runs again")))
    assert not was_said("slow runs again")
    coming.set()
    supervisor.run(until(lambda: was_said("slow runs again")))


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


def test_what_a_killed_up_has_left_is_ended_by_the_next_and_no_other_process(
    tmp_path: Path,
) -> None:
    service = Service("parent", (sys.executable, "-c", HAS_A_CHILD))
    parent = Process(service, tmp_path, os.environ)
    parent.start()
    wait_until(lambda: len(parent.log.read_text().split()) == 2)
    stranger = subprocess.Popen(("sleep", "60"), start_new_session=True)
    _, _, began = (tmp_path / "parent.pid").read_text().partition(" ")
    (tmp_path / "reused.pid").write_text(f"{stranger.pid} {began}")
    (tmp_path / "gone.pid").write_text(f"{2**22 - 1} {began}")
    (tmp_path / "damaged.pid").write_text("\0")
    threading.Thread(target=lambda: wait_until(lambda: parent.ended() is not None)).start()
    try:
        assert end_left_over(tmp_path.glob("*.pid")) == ["parent"]
        assert stranger.poll() is None
        assert parent.gone(0)
        assert end_left_over(tmp_path.glob("*.pid")) == []
    finally:
        stranger.kill()
        stranger.wait()
