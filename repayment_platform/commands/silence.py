"""What runs and does not answer: a database that is away, a part that hangs.

What belongs here: looking now and then, and saying when it begins and when it is over. What does
not: starting again what has ended (`supervisor`). What hangs is left to a person: it may be slow,
and a run may be its child.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

from repayment_platform.commands.services import HOST, Service
from repayment_platform.commands.supervisor import say

LOOK_SECONDS = 5.0
CONNECT_SECONDS = 5
ANSWER_SECONDS = 30.0
"""A part of a busy machine may take some."""


@contextmanager
def watched(name: str, trouble: Callable[[], str | None]) -> Iterator[None]:
    """Say what `trouble` finds when it begins, and when it is over, while the block runs."""
    left = threading.Event()
    # It may be waiting for an answer when the block ends.
    threading.Thread(target=_watch, args=(name, trouble, left), daemon=True).start()
    try:
        yield
    finally:
        left.set()


def _watch(name: str, trouble: Callable[[], str | None], left: threading.Event) -> None:
    said = False
    while not left.wait(LOOK_SECONDS):
        found = trouble()
        if not left.is_set() and (found is not None) != said:
            said = found is not None
            say(name, found or "answers again")


def database_away(conninfo: str) -> str | None:
    """Why no connection can be had, if so. Asked anew each time: one that stands says nothing of
    those to come."""
    try:
        psycopg.connect(make_conninfo(conninfo, connect_timeout=CONNECT_SECONDS)).close()
    except psycopg.Error as error:
        return f"is away ({' '.join(str(error).split()) or type(error).__name__})"
    return None


def part_hangs(service: Service) -> str | None:
    """Whether a part takes a connection and then says nothing; one that takes none has ended."""
    try:
        with socket.create_connection((HOST, service.port or 0), ANSWER_SECONDS) as connection:
            connection.sendall(service.question)
            connection.recv(1)
    except TimeoutError:
        return f"hangs: it has said nothing for {ANSWER_SECONDS:g} s; see its log, or kill it"
    except OSError:
        return None
    return None
