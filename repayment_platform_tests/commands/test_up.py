"""`./run up` stops all that it has started, however it is asked to."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.standing import PORTS, processes

pytestmark = [pytest.mark.whole, pytest.mark.faults, pytest.mark.timeout(300)]
SERVICES = (
    "code_server",
    "webserver",
    "daemon run",
    "webhooks",
    "operations",
    "metrics",
    "sandbox",
)
# What a script's `nohup ./run up &` is started with.
IN_THE_BACKGROUND = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "repayment_platform.cli", "up"])
"""


@pytest.fixture
def unused() -> Iterator[Installation]:
    """A home in which nothing was ever started."""
    home = Path(tempfile.mkdtemp(prefix="repayment-up-"))
    yield Installation(home, free_port())
    for pid in processes(home):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(home)


def test_all_processes_end_on_a_signal_at_the_start_and_on_ctrl_c_in_the_background(
    unused: Installation,
) -> None:
    up = start(unused)
    until_it_says(up, "Starting")
    assert len(processes(unused.home)) > 2  # PostgreSQL and the sandbox
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 128 + signal.SIGTERM
    assert processes(unused.home) == {}

    up = start(unused)
    until_it_says(up, "Ctrl-C")
    running = "\n".join(processes(unused.home).values())
    assert [name for name in SERVICES if name not in running] == []
    up.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert up.poll() is None
    up.send_signal(signal.SIGINT)
    time.sleep(0.2)
    up.send_signal(signal.SIGINT)  # impatience changes nothing
    assert up.wait(60) == 0
    assert processes(unused.home) == {}


def start(unused: Installation) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-c", IN_THE_BACKGROUND),
        env=unused.env | {name: str(free_port()) for name in PORTS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until_it_says(up: "subprocess.Popen[str]", word: str) -> None:
    assert up.stdout
    said = []
    for line in up.stdout:
        said.append(line)
        if line.startswith(word):
            return
    raise AssertionError("".join(said))
