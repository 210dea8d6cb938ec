"""Waiting for what another process brings about.

What belongs here: waiting with a deadline. What does not: what is waited for.
"""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return when it holds; fails the test when it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
