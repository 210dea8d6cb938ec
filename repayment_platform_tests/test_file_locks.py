"""Locks on files: who waits is told for whom, and does not wait for ever."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repayment_platform import file_locks
from repayment_platform.file_locks import LockNotHad, alone, wait_for
from repayment_platform.settings import ROOT
from repayment_platform_tests.waiting import wait_until

HOLDS = """
import subprocess, sys
from pathlib import Path
from repayment_platform.file_locks import alone
with alone(Path(sys.argv[1]), "test locks") as lock:
    child = subprocess.Popen(["sleep", "600"], pass_fds=(lock,), stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.read()
    child.kill()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock `tmp_path/lock`, and has a child that has inherited it."""
    command = (sys.executable, "-c", HOLDS, str(tmp_path / "lock"))
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


def test_who_waits_too_long_is_told_which_process_has_it_and_what_for(
    holder: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    child = said(holder)
    path = tmp_path / "lock"
    with (
        pytest.raises(LockNotHad, match=f"lock is held by process {holder.pid}, to test locks"),
        alone(path, "test", seconds=0.1),
    ):
        pass
    holder.kill()
    holder.wait()
    with (
        pytest.raises(LockNotHad, match="which has ended, or a process that it started"),
        alone(path, "test", seconds=0.1),
    ):
        pass
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: is_free(path))


def test_who_waits_long_is_told_for_whom_meanwhile(
    holder: "subprocess.Popen[str]",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said(holder)
    monkeypatch.setattr(file_locks, "SAY_SECONDS", 0)
    with pytest.raises(LockNotHad), alone(tmp_path / "lock", "test", seconds=0.2):
        pass
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"is held by process {holder.pid}, to test locks")


def test_a_lock_that_is_given_back_is_had(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    said(holder)
    holder.communicate("")
    with alone(tmp_path / "lock", "test") as lock:
        assert os.pread(lock, 100, 0).decode() == f"{os.getpid()} test\n"


def said(holder: "subprocess.Popen[str]") -> int:
    assert holder.stdout
    return int(holder.stdout.readline())


def is_free(path: Path) -> bool:
    file = os.open(path, os.O_RDWR)
    try:
        wait_for(file, path, fcntl.LOCK_EX, 0)
    except LockNotHad:
        return False
    finally:
        os.close(file)
    return True
