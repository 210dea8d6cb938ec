"""Showing that a long run is alive: what it does and how far it is.

What belongs here: the line on the terminal, and keeping Dagster's and dbt's own output out of it,
in a log file. What does not: the run.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
from rich.console import Console

POSTING_LOG = "repayment_platform.defs.posting"
_LAST_ATTEMPT = 'SELECT coalesce(max(id), 0) FROM "CORE"."CORE_POSTING_ATTEMPT"'
_SINCE = """
SELECT count(*) FILTER (WHERE outcome = 'success'), count(*) FILTER (WHERE outcome = 'failed'),
       count(*)
FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE id > %s
"""


class _Waits(logging.Handler):
    """What a posting run last said it waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()


@contextlib.contextmanager
def _listening() -> Iterator[_Waits]:
    waits, log = _Waits(), logging.getLogger(POSTING_LOG)
    log.addHandler(waits)
    try:
        yield waits
    finally:
        log.removeHandler(waits)


@contextlib.contextmanager
def showing(conninfo: str, doing: str, log: Path) -> Iterator[None]:
    """Say what is being done, then how much has been posted, or what posting waits for, while the
    block runs.

    What the block itself prints goes to `log`.
    """
    console = Console(file=sys.stdout)
    over = threading.Event()
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        console.status(f"{doing} (log: {log})") as line,
        psycopg.connect(conninfo, autocommit=True) as connection,
        log.open("a") as out,
        _listening() as waits,
    ):
        row = connection.execute(_LAST_ATTEMPT).fetchone()
        start = row[0] if row else 0

        def watch() -> None:
            before = None
            while not over.wait(0.5):
                counted = connection.execute(_SINCE, (start,)).fetchone()
                if waits.said:
                    line.update(waits.said)
                    waits.said = ""
                elif counted and counted != before and counted[2]:
                    line.update("posting: {} posted, {} failed, {} sent".format(*counted))
                before = counted

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                yield
        finally:
            over.set()
            watcher.join()
