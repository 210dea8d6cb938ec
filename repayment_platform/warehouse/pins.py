"""What every connection of ours sets for itself, so that nothing depends on the server's settings.

What belongs here: those settings, in libpq's words. What does not: addresses (`urls`), settings of
one kind of connection (where it is opened).

A role or a database may have settings of its own (`ALTER ROLE … SET`): dates in another style, the
end of sessions that are idle, another search path. What a connection says at its start counts more.
"""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SETTINGS = {
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    # A session that holds a lock is idle for as long as what rests on the lock goes on.
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # No row or table is waited for without end; an advisory lock has a deadline of its own.
    "lock_timeout": "600s",
    # Names and words are of many scripts, and psycopg gives bytes where the encoding is none.
    "client_encoding": "UTF8",
}
NETWORK: Mapping[str, str] = {
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A connection that is cut off is known as lost within half a minute, not after hours."""
NAME = "fallback_application_name"


def network() -> dict[str, str]:
    """Libpq's parameters of every connection, but for settings."""
    return {**NETWORK, NAME: _who()}


def with_settings(given: str, schema: str = "public") -> str:
    """What libpq's parameter `options` says: what is given, and then ours, which count."""
    return f"{given} {_pinned(schema)}" if given else _pinned(schema)


def without_settings(options: str) -> str:
    """What was given, of what `with_settings` made."""
    return "" if options == _pinned("public") else options.removesuffix(f" {_pinned('public')}")


def and_options(conninfo: str, further: str) -> str:
    """An address of ours whose connections set further options."""
    options = str(conninfo_to_dict(conninfo).get("options") or "")
    return make_conninfo(conninfo, options=f"{options} {further}")


def _pinned(schema: str) -> str:
    return " ".join(f"-c{k}={v}" for k, v in {**_SETTINGS, "search_path": schema}.items())


def _who() -> str:
    """What PostgreSQL shows of this process, to whoever looks for the holder of a lock."""
    program = Path(sys.argv[0]).name
    what = " ".join((program, *sys.argv[1:3])) if program else "python"
    end = f" {os.getpid()}@{socket.gethostname()}"
    kept = "".join(c if c.isascii() and c.isprintable() else "?" for c in what)
    return kept[: 63 - len(end)] + end
