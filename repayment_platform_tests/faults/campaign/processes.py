"""Children of the campaign: forked, watched, signalled.

What belongs here: the life of a child process. What does not: what it does (`worker`,
`stand_in`). Forking spares each child a second of imports; the forking process has one thread.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

CRASHED = 70
"""Exit code of a child that ended by an exception."""


class Child:
    """A child process; `code` is its exit code, or minus the signal that ended it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.is_stopped = False

    @property
    def is_gone(self) -> bool:
        self._look()
        return self.code is not None

    def signal(self, number: int) -> None:
        if not self.is_gone:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Whether it was gone within so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.is_gone:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _look(self) -> None:
        """Take note of all that happened to it since."""
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                self.is_stopped = os.WIFSTOPPED(status)
            else:
                self.code = os.waitstatus_to_exitcode(status)


def fork(work: Callable[[], int], output: Path) -> Child:
    """Do the work in a child of its own session; what it prints is appended to `output`."""
    output.touch()
    # A signal that comes at once must not meet the handler that the child inherits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return Child(pid)
    code = CRASHED
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        file = os.open(output, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        random.seed()
        code = work()
    except BaseException:  # noqa: BLE001 -- nothing may run on in the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
