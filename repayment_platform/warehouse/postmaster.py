"""What `postmaster.pid` of a data directory says, and whether it still holds.

What belongs here: reading that file and finding out if its process lives. What does not:
starting or stopping it (`embedded`).
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_NOBODY = 2**31 - 1
"""A process id above any system's limit."""


@dataclass(frozen=True)
class Postmaster:
    """The server process of one data directory, as its pid file names it."""

    data: Path

    @property
    def port(self) -> int | None:
        lines = self._lines()
        return int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else None

    def alive(self) -> bool:
        """Whether the named process runs and is this directory's server.

        After a reboot the number may belong to any other process.
        """
        pid = self._pid()
        if pid is None:
            return False
        if Path("/proc/self/cwd").exists():
            try:
                return Path(f"/proc/{pid}/cwd").readlink() == self.data.resolve()
            except OSError:  # gone
                return False
        ps = ("ps", "-o", "command=", "-p", str(pid))
        listed = subprocess.run(ps, capture_output=True, text=True, check=False)
        return "postgres" in listed.stdout and str(self.data) in listed.stdout

    def disown_stale_pid(self) -> None:
        """Make a pid file whose number another process has taken name nobody.

        PostgreSQL would take that process for itself and not start. The file stays: its shared
        memory key is how PostgreSQL finds left-over backends of a killed server.
        """
        pid = self._pid()
        if pid is not None and not self.alive():
            self._file.write_text("\n".join((str(_NOBODY), *self._lines()[1:], "")))

    @property
    def _file(self) -> Path:
        return self.data / "postmaster.pid"

    def _lines(self) -> list[str]:
        try:
            return self._file.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _pid(self) -> int | None:
        lines = self._lines()
        return int(lines[0]) if lines and lines[0].strip().isdecimal() else None
