"""Being asked to end by a signal.

What belongs here: unwinding, so that what was started is stopped, and remembering that somebody
asked. What does not: stopping anything.
"""

import sys
from types import FrameType

_asked: list[int] = []


def leave(number: int, _frame: FrameType | None) -> None:
    """Handle a signal: end this process by unwinding, with 128 + its number."""
    _asked.append(number)
    sys.exit(128 + number)


def asked_to_leave() -> int | None:
    """The exit code of the first such signal. Python drops an exception that a signal raises in
    the middle of a finalizer or a callback, so whoever waits for long looks here as well."""
    return 128 + _asked[0] if _asked else None
