"""A database that is somebody else's: `up` cannot start it, but says when it is away.

What belongs here: looking, and saying. What does not: the embedded one, which is a part (`parts`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

from repayment_platform.commands.supervisor import say

LOOK_SECONDS = 5.0
CONNECT_SECONDS = 5


@contextmanager
def watched(conninfo: str) -> Iterator[None]:
    """Say when it is away, why, and when it is back, for as long as the block runs."""
    left = threading.Event()
    # It may be waiting for an answer when the block ends.
    threading.Thread(target=_watch, args=(conninfo, left), daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _watch(conninfo: str, left: threading.Event) -> None:
    away = False
    while not left.wait(LOOK_SECONDS):
        why = _why_away(conninfo)
        if left.is_set() or (why is not None) == away:
            continue
        away = why is not None
        say("database", f"is away ({why}); it is not ours to start" if away else "is back")


def _why_away(conninfo: str) -> str | None:
    """Asked anew each time: a connection that stands says nothing of those to come."""
    try:
        psycopg.connect(make_conninfo(conninfo, connect_timeout=CONNECT_SECONDS)).close()
    except psycopg.Error as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None
