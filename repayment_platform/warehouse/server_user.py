"""Under whose name the embedded PostgreSQL runs, since it refuses to run as root.

What belongs here: choosing or making that user, and letting it reach the files it needs.
What does not: starting and stopping the server (`embedded`).
"""

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repayment_platform.warehouse import WarehouseUnavailable

SYSTEM_USER = "repayment-postgres"
ADMINISTRATORS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class ServerUser:
    """Whoever owns the data directory and runs the server."""

    name: str
    uid: int
    gid: int

    def run(
        self, command: Sequence[str], stdin: str = "", keeps: Sequence[int] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as this user; its output, both streams together, is in `stdout`.

        The command has a session of its own, so Ctrl-C in a terminal does not reach it, and
        inherits no file but the standard ones and those it `keeps`.
        """
        other = os.geteuid() != self.uid
        return subprocess.run(
            command,
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            start_new_session=True,
            pass_fds=keeps,
            check=False,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
        )

    def let_through(self, path: Path) -> None:
        """Let this user pass through the directories above `path`, when it is not the caller.

        Adds nothing but the right to pass (`o+x`): they stay unreadable.
        """
        if os.geteuid() == self.uid:
            return
        for directory in path.resolve().parents:
            mode = stat.S_IMODE(directory.stat().st_mode)
            if directory.stat().st_uid != self.uid and not mode & stat.S_IXOTH:
                directory.chmod(mode | stat.S_IXOTH)


def server_user(data: Path) -> ServerUser:
    """The caller; for root, the owner of the data directory or a system user of its own.

    Raises:
        WarehouseUnavailable: the data directory is another user's, or root has no user to
            run the server as and cannot make one.
    """
    owner = _user_of(data.stat().st_uid) if data.exists() else None
    if os.geteuid() != 0:
        if owner and owner.uid != os.geteuid():
            raise WarehouseUnavailable(
                f"{data} belongs to {owner.name}: run as that user, "
                "or set REPAYMENT_HOME to a directory of your own"
            )
        return _user_of(os.geteuid())
    return owner or _system_user()


def _user_of(uid: int) -> ServerUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise WarehouseUnavailable(
            f"user id {uid} has no name in /etc/passwd and PostgreSQL needs one: "
            "add it, or set DATABASE_URL to a server of your own"
        ) from None
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _path() -> str:
    """Where programs are, those of an administrator too: a shell of root's may not name them."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *ADMINISTRATORS))


def _system_user() -> ServerUser:
    commands = (
        ("useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER),
        ("adduser", "-S", "-D", "-H", "-s", "/bin/false", SYSTEM_USER),
    )
    for command in ((), *commands):
        if command and (found := shutil.which(command[0], path=_path())):
            env = os.environ | {"PATH": _path()}
            subprocess.run((found, *command[1:]), check=False, capture_output=True, env=env)
        try:
            return _user_of(pwd.getpwnam(SYSTEM_USER).pw_uid)
        except KeyError:
            continue
    raise WarehouseUnavailable(
        f"PostgreSQL does not run as root and no user could be made for it: create a system "
        f"user named {SYSTEM_USER}, run as another user, or set DATABASE_URL"
    )
