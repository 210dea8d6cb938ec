"""Locks on files, which processes of one machine share.

What belongs here: waiting for one with a deadline, and saying who has it. What does not: what a
lock is for. The kernel drops the lock of a killed process, so none is ever left behind; but a
child that has inherited the file keeps it.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_SECONDS = 120.0
SAY_SECONDS = 5.0
"""Who waits longer than this is told for whom."""


class LockNotHad(RuntimeError):
    """A lock is somebody else's for too long; the message is one line that says whose."""


@contextmanager
def alone(path: Path, doing: str, seconds: float = WAIT_SECONDS) -> Iterator[int]:
    """Hold the lock of a file, which is made if need be, and nobody else; yields the open file.

    `doing` is what others are told that this process is doing.

    Raises:
        LockNotHad: another has held it for all of `seconds`.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        wait_for(file, path, fcntl.LOCK_EX, seconds)
        sign(file, doing)
        yield file
    finally:
        os.close(file)


def sign(file: int, doing: str) -> None:
    """Write into the file of a lock that is held who holds it."""
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()} {doing}\n".encode(), 0)


def wait_for(file: int, path: Path, kind: int, seconds: float = WAIT_SECONDS) -> None:
    """Take the lock of an open file, `LOCK_SH` or `LOCK_EX`.

    Raises:
        LockNotHad: see `alone`.
    """
    begun = time.monotonic()
    said = False
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = time.monotonic() - begun
            if waited > seconds:
                raise LockNotHad(f"{_held(file, path)}; gave up after {seconds:.0f} s") from None
            if waited > SAY_SECONDS and not said:
                # To whoever sits before it, whatever the log's level is.
                sys.stderr.write(f"waiting: {_held(file, path)}\n")
                said = True
            time.sleep(0.02)
        else:
            return


def _held(file: int, path: Path) -> str:
    number, _, doing = os.pread(file, 500, 0).decode(errors="replace").strip().partition(" ")
    if not number.isdecimal():
        return f"{path} is held by another process"
    gone = "" if _exists(int(number)) else ", which has ended, or a process that it started"
    return f"{path} is held by process {number}{gone}, to {doing}"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
