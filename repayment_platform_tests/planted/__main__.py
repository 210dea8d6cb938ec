"""Plants each fault in a copy of the project and runs the tests that should notice.

`.venv/bin/python -m repayment_platform_tests.planted [ROOM ...]` exits with 1 when one was missed.
"""

import os
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from repayment_platform.settings import ROOT
from repayment_platform_tests.project_copy import copy_project

FAULTS = Path(__file__).with_name("faults.toml")


@dataclass(frozen=True)
class Fault:
    """One change to one file, and the tests that should notice it."""

    room: str
    harm: str
    file: str
    stands: str
    put: str
    tests: list[str]

    def planted(self) -> str:
        """The text of its file with the fault in it."""
        text = (ROOT / self.file).read_text()
        if text.count(self.stands) != 1:
            raise ValueError(f"{self.file}: «{self.stands}» does not stand there once")
        return text.replace(self.stands, self.put)


def faults() -> list[Fault]:
    return [Fault(**each) for each in tomllib.loads(FAULTS.read_text())["fault"]]


def plant(fault: Fault, copy: Path) -> "subprocess.CompletedProcess[str]":
    """Run the fault's tests in a copy of the project that has the fault, until one fails."""
    original = (ROOT / fault.file).read_text()
    (copy / fault.file).write_text(fault.planted())
    try:
        return subprocess.run(
            (sys.executable, "-m", "pytest", "-x", "-q", "-n", "2", *fault.tests),
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (copy / fault.file).write_text(original)


def main(rooms: list[str]) -> int:
    missed = 0
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy = Path(folder) / "copy"
        copy_project(copy)
        for fault in faults():
            if rooms and fault.room not in rooms:
                continue
            started = time.monotonic()
            done = plant(fault, copy)
            by = next((line for line in done.stdout.splitlines() if line.startswith("FAILED")), "")
            if done.returncode and not by:
                console.print(done.stdout[-3000:], done.stderr[-3000:])
                raise SystemExit(f"the tests did not run: {fault.harm}")
            found = bool(by)
            missed += not found
            seconds = time.monotonic() - started
            verdict = "found " if found else "MISSED"
            console.print(f"{verdict} {seconds:4.0f} s  {fault.room}: {fault.harm}  {by[:110]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
