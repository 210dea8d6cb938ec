"""Dagster's daemon, of which one works at a time.

What belongs here: that of several daemons on one database one leads and the others stand by. What
does not: what the daemon does, which is Dagster's. Dagster has no leader election of its own: two
daemons that look at a tick in the same moment may each start its run.
"""

import os
import signal
import threading
import time
from importlib.metadata import entry_points
from typing import Any

import psycopg
import typer
from psycopg.conninfo import make_conninfo

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.server import warehouse

LOOK_SECONDS = 2.0
# A leader that is cut off learns of it, and the server lets go of its lock, within a minute.
CUT_OFF_MS = 10_000
_LET_GO = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5"
_LEAD = "SELECT pg_try_advisory_lock(hashtextextended('dagster daemon', 0))"


def main() -> None:
    """Run `dagster-daemon` with this process's arguments once no other on the database does."""
    with warehouse(load_settings()) as urls:
        connection = _connect(urls.psycopg)
        if not _leads(connection):
            typer.echo("Another daemon works on this database; this one stands by.")
            while not _leads(connection):
                time.sleep(LOOK_SECONDS)
        watch = threading.Thread(target=_stop_when_led, args=(urls.psycopg, connection))
        watch.daemon = True
        watch.start()
        (daemon,) = entry_points(group="console_scripts", name="dagster-daemon")
        daemon.load()()


def _stop_when_led(conninfo: str, connection: psycopg.Connection[Any]) -> None:
    """End this process when another has taken the lead, which takes a lost connection."""
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            if connection.closed:
                connection = _connect(conninfo)
            if not _leads(connection):
                break
        except psycopg.OperationalError:
            continue  # while the database is away nobody leads
    os.kill(os.getpid(), signal.SIGTERM)


def _leads(connection: psycopg.Connection[Any]) -> bool:
    """Whether this session holds the lock; takes it if it is free, again if it has it."""
    row = connection.execute(_LEAD).fetchone()
    return bool(row and row[0])


def _connect(conninfo: str) -> psycopg.Connection[Any]:
    patience = {"connect_timeout": 10, "tcp_user_timeout": CUT_OFF_MS}
    connection = psycopg.connect(make_conninfo(conninfo, **patience), autocommit=True)
    connection.execute(_LET_GO)
    return connection


if __name__ == "__main__":
    main()
