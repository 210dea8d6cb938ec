"""The embedded PostgreSQL: started, shared and stopped without root, Docker or a port.

What belongs here: the life of the server that is used when DATABASE_URL is unset. Its programs
come from a wheel, whose Python code is not used: that stops servers that others still use.
What does not: its files (`cluster`), what the database holds (`migrate`), or who asks for it
(`server`).

How it is shared: every process that uses the server holds a shared lock on `pg.lock`; whoever
can take that lock exclusively when leaving is the last one and stops the server. The kernel
drops the lock of a killed process, so nobody has to count. When the last user is killed, the
server stays up until the next user leaves.

A process joins once. While it has joined, whatever else in it asks for the server gets the address
at once: no lock is waited for and no program started.
"""

import fcntl
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from repayment_platform.file_locks import SAY_SECONDS, LockNotHad, alone, sign, wait_for
from repayment_platform.warehouse import WarehouseUnavailable, cluster
from repayment_platform.warehouse.cluster import NAME, SOCKET_PORT, program, socket_directory
from repayment_platform.warehouse.postmaster import Postmaster
from repayment_platform.warehouse.rights import APPLICATION, READER
from repayment_platform.warehouse.server_user import ServerUser, server_user
from repayment_platform.warehouse.urls import DatabaseUrls

PATIENCE_SECONDS = 600
LOCK_SECONDS = 120.0
"""For another that is starting the server; who gives up is told which process that is."""

_PASSING = (
    "shared memory block",  # backends of a killed server have not yet noticed that it is gone
    'lock file "postmaster.pid"',  # a server whose starter was killed is just coming up
)


@contextmanager
def embedded_postgres(home: Path, tcp_port: int | None = None) -> Iterator[DatabaseUrls]:
    """Use the server whose files are below `home`; starts it when nobody else has.

    With `tcp_port` the server also listens on loopback, for other programs, with the password
    in `<home>/pg.password`; it takes effect when the server starts.

    Raises:
        WarehouseUnavailable: it cannot be made or started.
    """
    home = home.absolute()
    with _joining:
        membership = _memberships.get(home) or _join(home, tcp_port)
        _memberships[home] = membership
        membership.users += 1
    try:
        yield membership.urls
    finally:
        with _joining:
            membership.users -= 1
            if not membership.users:
                del _memberships[home]
                membership.server.leave(membership.lock)


@dataclass
class _Membership:
    """That this process uses a server."""

    server: "EmbeddedServer"
    lock: int
    urls: DatabaseUrls
    users: int = field(default=0)
    """How many in this process use it now."""


_memberships: dict[Path, _Membership] = {}
_joining = threading.Lock()


def _join(home: Path, tcp_port: int | None) -> _Membership:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = EmbeddedServer(home)
    lock = server.join(tcp_port)
    try:
        urls = server.urls()
        _make_roles(urls)
    except BaseException:
        server.leave(lock)
        raise
    return _Membership(server, lock, urls)


@dataclass(frozen=True)
class EmbeddedServer:
    """The server of one home directory."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "pgdata"

    def join(self, tcp_port: int | None) -> int:
        """Take part in the server, starting it if needed; returns the lock to leave with."""
        with self._starting() as start_lock:
            lock = self._open_lock()
            try:
                # Waits for one who is stopping the server.
                wait_for(lock, self._lock, fcntl.LOCK_SH)
                # A child started with close_fds=False keeps the server when we are killed.
                os.set_inheritable(lock, True)
                self._ensure_running(tcp_port, start_lock)
            except BaseException:
                self.leave(lock)
                raise
            return lock

    def start_again(self, tcp_port: int | None) -> None:
        """Start the server, which the caller has joined, if it has ended.

        Raises:
            WarehouseUnavailable: it does not start, or its files are gone.
        """
        if not self.data.exists():
            # A new one would be empty: whoever lands or posts would take it for the one that was.
            raise WarehouseUnavailable(f"{self.data} is gone: restore it, or start anew")
        with self._starting() as start_lock:
            self._ensure_running(tcp_port, start_lock)

    def alive(self) -> bool:
        """Whether its process runs; it may be starting or recovering."""
        return Postmaster(self.data).alive()

    def leave(self, lock: int) -> None:
        """Give the lock back; stop the server if nobody else uses it."""
        # Closed and opened anew: a child may share this one, and converting it would take
        # the lock away from the child as well.
        os.close(lock)
        self.stop_if_unused()

    def stop_if_unused(self) -> bool:
        """Stop the server unless somebody uses it; returns whether nobody does."""
        if not self.data.exists():
            return True
        mine = self._open_lock()
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sign(mine, "stop PostgreSQL")
            self._stop()
        except BlockingIOError:
            return False
        finally:
            os.close(mine)
        return True

    def urls(self) -> DatabaseUrls:
        """The address of the running server, on its socket."""
        sockets = socket_directory(self.data, server_user(self.data))
        port = Postmaster(self.data).port or SOCKET_PORT
        return DatabaseUrls(str(sockets), port, user=NAME, dbname=NAME)

    # ── starting and stopping ───────────────────────────────────────────────────────────────

    @contextmanager
    def _starting(self) -> Iterator[int]:
        """One at a time: the second finds the server running."""
        try:
            with alone(self.home / "pg.start.lock", "start PostgreSQL", LOCK_SECONDS) as lock:
                yield lock
        except LockNotHad as waited:
            raise WarehouseUnavailable(f"PostgreSQL cannot be joined: {waited}") from None

    @property
    def _lock(self) -> Path:
        return self.home / "pg.lock"

    def _open_lock(self) -> int:
        return os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)

    def _ensure_running(self, tcp_port: int | None, start_lock: int) -> None:
        user = server_user(self.data)
        for path in (self.data, Path(program("postgres"))):
            user.let_through(path)
        # What makes it outlives us when we are killed, and then keeps the next one waiting.
        cluster.make(self.data, user, keeps=(start_lock,))
        sockets = socket_directory(self.data, user)
        for _ in range(40):
            if self._answers(user):
                return
            cluster.make_private(sockets, user)
            cluster.configure(self.data, sockets, tcp_port)
            reason = self._start(user)
            if reason is None:
                return
            if ".s.PGSQL." in reason:
                # Only who holds the data directory gets as far as the socket: this one is a
                # killed server's, and its lock file names a process that is another's by now.
                cluster.empty(sockets)
            elif not any(passing in reason for passing in _PASSING):
                break
            time.sleep(0.25)
        raise WarehouseUnavailable(f"PostgreSQL did not start: {reason}; see {self._log}")

    def _answers(self, user: ServerUser) -> bool:
        """Whether a server runs; waits for one that is starting, recovering or stopping."""
        postmaster = Postmaster(self.data)
        sockets = str(socket_directory(self.data, user))
        begun = time.monotonic()
        said = False
        while postmaster.alive():
            if _accepts(sockets, postmaster.port or SOCKET_PORT):
                return True
            waited = time.monotonic() - begun
            if waited > SAY_SECONDS and not said:
                sys.stderr.write(
                    "waiting: PostgreSQL runs and does not answer, as when it recovers; "
                    f"see {self._log}\n"
                )
                said = True
            if waited > PATIENCE_SECONDS:
                raise WarehouseUnavailable(f"PostgreSQL does not answer; see {self._log}")
            time.sleep(0.05)
        postmaster.disown_stale_pid()
        return False

    def _start(self, user: ServerUser) -> str | None:
        """Start the server and wait until it answers; returns why it does not start."""
        command = (program("pg_ctl"), "start", "-w", "-t", str(PATIENCE_SECONDS), "-s")
        started = user.run((*command, "-D", str(self.data), "-l", str(self._log)))
        if started.returncode == 0:
            return None
        tail = self._log_tail()
        fatal = [line.partition("FATAL: ")[2].strip() for line in tail if "FATAL: " in line]
        return (fatal or [started.stdout.strip()])[-1]

    def _stop(self) -> None:
        if not self.alive():
            return
        user = server_user(self.data)
        user.let_through(self.data)
        stop = (program("pg_ctl"), "stop", "-m", "fast", "-w", "-t", str(PATIENCE_SECONDS))
        stopped = user.run((*stop, "-s", "-D", str(self.data)))
        if stopped.returncode != 0 and self.alive():
            raise WarehouseUnavailable(f"PostgreSQL did not stop: {stopped.stdout.strip()}")
        shutil.rmtree(socket_directory(self.data, user), ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.data / "server.log"

    def _log_tail(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines()[-5:] if self._log.exists() else []


def _accepts(sockets: str, port: int) -> bool:
    """Whether a server takes connections on a socket; asked by libpq, without a program."""
    where = make_conninfo(host=sockets, port=port, connect_timeout=5)
    return pq.PGconn.ping(where.encode()) == pq.Ping.OK


def _make_roles(owner: DatabaseUrls) -> None:
    """The roles beside the owner; over the socket they need no password."""
    with psycopg.connect(owner.psycopg, autocommit=True) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles").fetchall()
        for role in {APPLICATION, READER} - {name for (name,) in rows}:
            with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
