"""`./run up` whose parts are killed: nothing falls because something else did."""

import hashlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.left_running import left_running, running
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.sources.reading import NACH
from repayment_platform_tests.standing import COMMANDS, Trickle, Up
from repayment_platform_tests.waiting import wait_until
from repayment_platform_tests.web.operations.site import CSRF_COOKIE

HOSTILE = Path(__file__).parents[1] / "cases" / "hostile"
pytestmark = [pytest.mark.whole, pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
def up() -> Iterator[Up]:
    """A platform of its own that is up."""
    home = Path(tempfile.mkdtemp(prefix="repayment-standing-"))
    started = Up(Installation(home, free_port()))
    try:
        started.start()
        yield started
    finally:
        started.kill_everything()
        shutil.rmtree(home)


def test_no_part_that_is_killed_takes_another_with_it_nor_an_acknowledged_delivery(
    up: Up,
) -> None:
    for part in ("dagster-webserver", "dagster-daemon", "code-server"):
        environment = Path(f"/proc/{up.pid(part)}/environ").read_bytes().split(b"\0")
        assert b"GRPC_ENABLE_FORK_SUPPORT=0" in environment
    trickle = Trickle(up)
    others = {part: up.pid(part) for part in COMMANDS}
    with trickle.flowing():
        for part in COMMANDS:
            refused = len(trickle.refused)
            up.kill(part)
            del others[part]
            if part != "webhooks":
                assert len(trickle.refused) == refused, f"the receiver was away without {part}"
            assert {other: up.pid(other) for other in others} == others
        parts = {part: up.pid(part) for part in COMMANDS}
        up.kill("PostgreSQL")
        assert {part: up.pid(part) for part in COMMANDS} == parts

    # A receiver that is gone, or one without its database; never a wrong answer.
    kinds = set(trickle.refused.values())
    assert kinds <= {"ConnectError", "ReadError", "RemoteProtocolError", "503"}, kinds
    assert trickle.taken <= set(trickle.landed())
    trickle.send_refused_again()
    landed = trickle.landed()
    assert sorted(landed) == sorted(trickle.taken)
    up.next_tick_works()
    assert up.process
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0


@pytest.mark.parametrize("name", ["far_cell.xlsx", "stray_row.xlsx"])
def test_a_hostile_workbook_shown_and_sent_on_the_screens_ends_no_part(up: Up, name: str) -> None:
    parts = {part: up.pid(part) for part in COMMANDS}
    trickle = Trickle(up)
    kind = {"source": NACH}
    workbook = (HOSTILE / name).read_bytes()
    with trickle.flowing(), up.screens("operator") as screens:
        token = {"csrftoken": screens.cookies[CSRF_COOKIE]}
        shown = screens.post("/log/upload", data=kind | token, files={"file": (name, workbook)})
        assert shown.status_code == 200
        assert "NOT_A_TABLE" in shown.text
        sent = kind | token | {"sha256": hashlib.sha256(workbook).hexdigest()}
        assert screens.post("/log/upload/confirm", data=sent).status_code == 303
        assert screens.get("/log").status_code == 200
        wait_until(lambda: len(trickle.taken) > 20)
    assert trickle.refused == {}
    assert {part: up.pid(part) for part in COMMANDS} == parts


def test_an_up_that_is_killed_is_followed_by_one_that_starts_and_two_at_once_by_a_word(
    up: Up,
) -> None:
    assert up.process
    left = {part: up.pid(part) for part in COMMANDS}
    up.process.kill()
    up.process.wait()
    up.start()
    for part in COMMANDS:
        if part != "sandbox":
            assert f"{part} was left by an `up` that was killed; ended" in up.output
            assert up.pid(part) != left[part]
    second = up.installation.start("up")
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 1
    assert f"another ./run up runs: {up.home}/up.lock is held by process {up.process.pid}" in said
    assert up.process.poll() is None


def test_a_machine_that_loses_its_power_loses_nothing_that_was_acknowledged(up: Up) -> None:
    trickle = Trickle(up)
    with trickle.flowing():
        up.next_tick_works()
        up.kill_everything()
    assert trickle.taken
    acknowledged = set(trickle.taken)

    up.start()
    assert acknowledged <= set(trickle.landed())
    trickle.send_refused_again()
    assert sorted(trickle.landed()) == sorted(trickle.taken)
    up.next_tick_works()


def test_a_platform_that_is_left_running_never_stands_still() -> None:
    """The short form of `bench.left_running`."""
    with running(FAST_POSTING="true") as up:
        waits = left_running(up, 3)
    assert waits.wrong == []
    ticks = [name for name in waits.seconds if name.startswith("tick ")]
    assert {"tick fast_posting", "tick inbox_sensor", "tick dead_runs"} <= set(ticks)
    assert waits.seconds["runs launched"][0] > 0
