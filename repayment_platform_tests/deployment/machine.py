"""A machine that is installed as docs/deployment.md says, but for systemd itself.

What belongs here: the files where the page puts them, below a folder that stands for `/`, and
starting what the unit starts, with the environment, the user and the mask that it names. What does
not: what is expected of the parts.

Without root there is no other user, and the parts run as whoever tests.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values

from repayment_platform_tests.project_copy import copy_project
from repayment_platform_tests.web.receiving import SECRETS

PARTS = ("code-server", "webserver", "daemon", "webhooks", "operations", "metrics")
PLACES = ("/opt/repayment", "/etc/repayment", "/var/lib/repayment")
_OWN_FILES = re.compile(r"^# {3}(env\.[\w-]+(?:, env\.[\w-]+)*) +(.*)$", re.MULTILINE)


@dataclass
class Machine:
    """The folder that stands for `/`, and the user that the parts run as."""

    root: Path
    user: pwd.struct_passwd
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.root / "opt/repayment"

    @property
    def etc(self) -> Path:
        return self.root / "etc/repayment"

    @property
    def home(self) -> Path:
        return self.root / "var/lib/repayment"

    def there(self, text: str) -> str:
        """What a file or the page says, with the places of this machine."""
        for place in PLACES:
            text = text.replace(place, f"{self.root}{place}")
        return text

    def unit(self) -> dict[str, list[str]]:
        """The unit's settings, each with all its values."""
        found: dict[str, list[str]] = {}
        text = (self.project / "deploy/systemd/repayment@.service").read_text()
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                found.setdefault(name, []).append(self.there(value))
        return found

    def configure(self, settings: Mapping[str, str], own: Mapping[str, Mapping[str, str]]) -> None:
        """Write /etc/repayment: of each file the names that the example has, and no others."""
        example = self.project / "deploy/systemd/example.env"
        filled = {name: value or "" for name, value in dotenv_values(example).items()}
        self._write("env", filled | settings)
        for files, names in _OWN_FILES.findall(example.read_text()):
            for file in files.split(", "):
                given = own[file.removeprefix("env.")]
                self._write(file, {name: given[name] for name in _names(names)})

    def environment(self, part: str) -> dict[str, str]:
        """What systemd gives a part: little of its own, and the files that the unit names."""
        env = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "USER": "repayment",
            "LOGNAME": "repayment",
            "SHELL": "/usr/sbin/nologin",
        }
        for file in self.unit()["EnvironmentFile"]:
            path = Path(file.removeprefix("-").replace("%i", part))
            if path.exists() or not file.startswith("-"):
                values = dotenv_values(path, interpolate=False)
                env |= {name: value or "" for name, value in values.items()}
        return env

    def start(self, part: str) -> None:
        """Start it as the unit does; its output goes into `PART.log`."""
        [command], [mask] = self.unit()["ExecStart"], self.unit()["UMask"]
        self._start(part, command.replace("%i", part).split(), int(mask, 8))

    def run(
        self, command: Sequence[str | Path], *, as_user: bool = True, typed: str = "", **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """A command that an administrator types, or that the parts' user runs."""
        return subprocess.run(
            command,
            cwd=self.project,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)} | env,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            **(self._user() if as_user else {}),  # type: ignore[call-overload]
        )

    def log(self, part: str) -> str:
        return (self.root / f"{part}.log").read_text()

    def stop(self, part: str) -> int:
        """SIGTERM, as systemd sends it to the main process; how it ended."""
        process = self.running.pop(part)
        process.send_signal(signal.SIGTERM)
        return process.wait(int(self.unit()["TimeoutStopSec"][0]))

    def kill_all(self) -> None:
        for process in self.running.values():
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()

    def _start(self, part: str, command: Sequence[str], mask: int) -> None:
        with (self.root / f"{part}.log").open("ab") as log:
            self.running[part] = subprocess.Popen(
                command,
                cwd=self.project,
                env=self.environment(part),
                umask=mask,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._user(),  # type: ignore[call-overload]
            )

    def _user(self) -> dict[str, object]:
        if os.geteuid() == self.user.pw_uid:
            return {}
        uid, gid = self.user.pw_uid, self.user.pw_gid
        return {"user": uid, "group": gid, "extra_groups": []}

    def _write(self, name: str, values: Mapping[str, str]) -> None:
        file = self.etc / name
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        file.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(file, 0, self.user.pw_gid)


T = TypeVar("T", bound=Machine)


def installed(kind: type[T], root: Path) -> T:
    """The project where the page has it, with the packages of this test run as its own."""
    python = _python_for_all()
    name = "nobody" if os.geteuid() == 0 and python else pwd.getpwuid(os.geteuid()).pw_name
    machine = kind(root, pwd.getpwnam(name))
    root.chmod(0o755)
    copy_project(machine.project)
    _make_venv(machine.project, python or Path(sys.executable))
    machine.etc.mkdir(parents=True)
    machine.home.mkdir(parents=True)
    # As systemd makes it, and as the page says of dbt's folder.
    machine.home.chmod(int(machine.unit().get("StateDirectoryMode", ["0755"])[0], 8))
    if os.geteuid() == 0:
        os.chown(machine.home, machine.user.pw_uid, machine.user.pw_gid)
    return machine


def hand_over(machine: Machine, folder: Path) -> None:
    """`chown -R repayment FOLDER`."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, machine.user.pw_uid, -1)


def _names(words: str) -> Iterator[str]:
    if words == "the webhook secrets":
        yield from SECRETS
    else:
        yield from words.partition(" of ")[0].split(", ")


def _python_for_all() -> Path | None:
    """This Python, where a user without rights may start it."""
    own = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    same = shutil.which(own.name, path="/usr/local/bin:/usr/bin")
    for python in filter(None, (own, same and Path(same).resolve())):
        if all(folder.stat().st_mode & 0o001 for folder in python.parents):
            return python
    return None


def _make_venv(project: Path, python: Path) -> None:
    """What `./run --help` makes there, without downloading it once more."""
    venv = project / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(python)
    (venv / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    packages = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.parent.mkdir(parents=True)
    packages.symlink_to(sysconfig.get_path("purelib"))
    for name in ("dagster", "dagster-daemon", "dbt"):
        body = Path(sys.executable).with_name(name).read_text().partition("\n")[2]
        (venv / "bin" / name).write_text(f"#!{venv}/bin/python\n{body}")
        (venv / "bin" / name).chmod(0o755)
    lock = subprocess.run(
        ("cksum",), stdin=(project / "uv.lock").open(), capture_output=True, text=True, check=True
    )
    (venv / ".installed--no-dev").write_text(f"{lock.stdout.strip()} {project}\n")
