"""Process groups of parts: whether they live, ending them, knowing them again after a kill of `up`.

What belongs here: the groups, and the notes by which the next `up` finds what a killed one has left
running. What does not: starting and watching parts (`services`, `supervisor`).
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STOP_SECONDS = 20
KILLED_SECONDS = 5
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def kill(group: int) -> None:
    """End all of it."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def exists(group: int) -> bool:
    """Whether anything of it is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of one that has ended and is not yet reaped
        return True
    return True


def note(place: Path, pid: int) -> None:
    """Keep which process leads the group of a part; a full disk is no reason not to run."""
    with suppress(OSError):
        place.write_text(f"{pid} {_began(pid)}\n")


def end_left_over(places: Iterable[Path]) -> list[str]:
    """End the parts of the notes that still run; returns their names.

    A number that another process has by now is told by when that one began.
    """
    left = {place.stem: pid for place in places if (pid := _noted(place)) is not None}
    for pid in left.values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    _wait(left.values(), STOP_SECONDS)
    for pid in left.values():
        kill(pid)
    _wait(left.values(), KILLED_SECONDS)
    return sorted(left)


def _wait(groups: Iterable[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(exists, groups)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _noted(place: Path) -> int | None:
    """The process of a note, if it is the one that was noted."""
    number, _, began = place.read_text(errors="replace").strip().partition(" ")
    if not number.isdecimal() or not began or began != _began(int(number)):
        return None
    return int(number)


def _began(pid: int) -> str:
    """When a process began, as no other of its number did; empty when there is none."""
    if _BOOT.exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return ""
        # Behind the name, which may hold anything: the state, and 19 fields on the start.
        return f"{_BOOT.read_text().strip()} {stat.rpartition(')')[2].split()[19]}"
    ps = ("ps", "-o", "lstart=", "-p", str(pid))
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()
