"""Starting again what has ended.

What belongs here: when a part is started again, and what is said of it. What does not: which parts
there are (`parts`), and what starting one takes (`services`, the embedded server, the sandbox).
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import typer

from repayment_platform.commands.services import START_SECONDS

LOOK_SECONDS = 0.5
PAUSES = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each start of a part that keeps ending, the last one for ever after."""
STEADY_SECONDS = 60.0
"""A part that has run this long has started well: its next end is a first one."""


class Part(Protocol):
    """What can be started again."""

    @property
    def name(self) -> str: ...

    def start(self) -> None:
        """Raises OSError or RuntimeError, of one line, when it cannot be started."""

    def ended(self) -> str | None:
        """How it ended; None while it runs."""

    def answers(self) -> bool:
        """Whether it does its work again."""

    def kill(self) -> None:
        """End one that does not come to answer."""


class Supervisor:
    """Parts that run, each looked at in turn. None ends because another did."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._watches = [_Watch(part) for part in parts]

    def run(self, asked: Callable[[], int | None]) -> int:
        """Watch until `asked` gives an exit code, which it returns; 0 on Ctrl-C."""
        try:
            while (code := asked()) is None:
                for watch in self._watches:
                    watch.look_whatever_comes(time.monotonic())
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            return 0
        return code


class _Watch:
    """One part: whether it runs, is coming, or is to be started, and how often it has failed."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._began = time.monotonic()
        self._coming = False
        self._due: float | None = None
        self._failures = 0
        self._trouble = ""

    def look_whatever_comes(self, now: float) -> None:
        """Look; trouble in looking is said when it begins, and ends nothing."""
        trouble = ""
        try:
            self.look(now)
        except Exception as error:  # noqa: BLE001 - the others are to be looked at
            trouble = " ".join(str(error).split()) or type(error).__name__
        if trouble and trouble != self._trouble:
            self._say(f"cannot be looked at ({trouble})")
        self._trouble = trouble

    def look(self, now: float) -> None:
        if self._due is None:
            how = self._part.ended()
            if how is not None:
                self._ended(how, now)
            elif self._coming:
                self._see_it_come(now)
        if self._due is not None and now >= self._due:
            self._start()

    def _ended(self, how: str, now: float) -> None:
        if now - self._began > STEADY_SECONDS:
            self._failures = 0
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        self._due = now + pause
        self._say(f"{how}; starting it again" + (f" in {pause:.0f} s" if pause else ""))

    def _start(self) -> None:
        self._began = time.monotonic()
        self._due, self._coming = None, True
        try:
            self._part.start()
        except (OSError, RuntimeError) as error:
            self._ended(f"could not be started ({error})", time.monotonic())

    def _see_it_come(self, now: float) -> None:
        if self._part.answers():
            self._coming = False
            self._say("runs again")
        elif now - self._began > START_SECONDS:
            self._say(f"does not answer after {START_SECONDS} s")
            self._part.kill()
            self._began = now  # one that is never killed is told of once in so long

    def _say(self, what: str) -> None:
        say(self._part.name, what)


def say(name: str, what: str) -> None:
    """Tell of a part, with the time, whoever sits before `up` or reads its log."""
    # A full disk, or a terminal that is gone, ends nothing.
    with suppress(OSError):
        typer.echo(f"{time.strftime('%H:%M:%S')}  {name} {what}", err=True)
