"""Processes that use one embedded PostgreSQL, for tests of how they share it."""

import subprocess
import sys
from pathlib import Path

from repayment_platform.settings import ROOT

_USER = """
import subprocess, sys
from pathlib import Path
import psycopg
from repayment_platform.warehouse.embedded import embedded_postgres

with embedded_postgres(Path(sys.argv[1])) as urls:
    print("joined", flush=True)
    for line in sys.stdin:
        if line.startswith("child"):
            child = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
            print(child.pid, flush=True)
        else:
            with psycopg.connect(urls.psycopg, autocommit=True) as connection:
                cursor = connection.execute(line)
                print(cursor.fetchone() if cursor.description else "done", flush=True)
"""


class User:
    """A process that joins the server of a home directory and does what it is told."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-c", _USER, str(home)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def joined(self) -> "User":
        assert self._answer() == "joined"
        return self

    def ask(self, line: str) -> str:
        """Have it run a statement, or make a `child` that inherits its lock."""
        self.tell(line)
        return self._answer()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def leave(self) -> None:
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=30)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
