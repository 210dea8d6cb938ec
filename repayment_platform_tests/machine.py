"""A machine of its own, as far as one can be had: a clone, a home, a shell that keeps its place.

What belongs here: following a page of the documentation command by command, and a clone that finds
its packages installed. What does not: which page, and what is expected.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from repayment_platform.settings import ROOT
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.standing import Up

_BLOCK = re.compile(r"^## (?P<title>[^\n]+)$|^```sh\n(?P<commands>.*?)^```$", re.M | re.S)
_NAME = re.compile(r"^export (\w+)=", re.M)
# So that the next block goes on where this one ended, as in one shell.
_REMEMBER = '\npwd >"$REMEMBERED/place"; env -0 >"$REMEMBERED/names"\n'


@dataclass(frozen=True)
class Page:
    """The commands of a page in their order."""

    blocks: list[tuple[str, str]]
    """The title above, and the commands."""

    @classmethod
    def read(cls, name: str) -> "Page":
        blocks, title = [], ""
        for found in _BLOCK.finditer((ROOT / "docs" / name).read_text()):
            title = found["title"] or title
            if found["commands"]:
                blocks.append((title, found["commands"]))
        return cls(blocks)

    @property
    def names(self) -> set[str]:
        """What the first block has its reader choose."""
        return set(_NAME.findall(self.blocks[0][1]))

    def under(self, title: str) -> list[str]:
        found = [commands for above, commands in self.blocks if above == title]
        assert found, f"the page has no commands under {title!r}"
        return found


@dataclass
class Machine:
    """A folder, and a shell in it."""

    place: Path
    names: dict[str, str]
    """The environment of the shell."""
    remembered: Path = field(init=False)

    def __post_init__(self) -> None:
        self.place.mkdir()
        self.remembered = self.place / "remembered"
        self.remembered.mkdir()
        kept = ("PATH", "LANG", "TMPDIR")
        inherited = {name: os.environ[name] for name in kept if name in os.environ}
        self.names = inherited | {"HOME": str(self.place)} | self.names

    def type(self, commands: str) -> str:
        """Type commands; the first that fails fails the test. Returns what they said."""
        done = subprocess.run(
            ("bash", "-euc", commands + _REMEMBER),
            cwd=self.place,
            env=self.names | {"REMEMBERED": str(self.remembered)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        self.place = Path((self.remembered / "place").read_text().removesuffix("\n"))
        pairs = (self.remembered / "names").read_text().split("\0")
        self.names = dict(pair.split("=", 1) for pair in pairs if pair)
        if "git clone" in commands:
            install(self.place)
        return done.stdout

    def up(self, ports: dict[str, str]) -> "UpOfMachine":
        """`./run up` in its shell; not started yet."""
        home = Path(self.names["REPAYMENT_HOME"])
        up = UpOfMachine(Installation(home, 0), ports, command=("./run", "up"), place=self.place)
        up.names = self.names
        return up


class UpOfMachine(Up):
    """It has its settings from the machine's `.env` and shell, and from nowhere else."""

    names: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return self.names


def install(clone: Path) -> None:
    """What `./run` installs the first time, from what is installed here; that it does so by itself
    is tested with the demo."""
    venv = clone / ".venv"
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", venv), check=True)
    here, there = Path(sys.executable).parent, venv / "bin"
    for program in here.iterdir():
        if not (there / program.name).exists():
            (there / program.name).symlink_to(program)
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    lock = (clone / "uv.lock").read_bytes()
    sums = subprocess.run(("cksum",), input=lock, stdout=subprocess.PIPE, check=True).stdout
    root = os.path.realpath(clone)
    (venv / ".whole").write_text(f"{root}\n")
    (venv / ".installed--no-dev").write_text(f"{sums.decode().strip()} {root}\n")


def origin(at: Path) -> Path:
    """A repository to clone from, with the project as it is now."""
    from repayment_platform_tests.project_copy import copy_project

    copy_project(at)
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "as it is")):
        subprocess.run(("git", *command), cwd=at, check=True)
    return at


def remove(place: Path) -> None:
    """As if its disk had never been."""
    shutil.rmtree(place)
