"""Dagster's storage in the platform's PostgreSQL, which opens for no webserver without a log-in.

What belongs here: refusing Dagster's own commands that would serve its UI to anybody. What does
not: the storage, which is Dagster's.
"""

import sys
from pathlib import Path

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

REFUSED = (
    "{command} would serve this platform's Dagster without a log-in, to anybody who reaches its "
    "port: use ./run up, or unset DAGSTER_HOME to try definitions on a storage of their own"
)
_SERVERS = ("dagster-webserver", "dagit", "dagster_webserver")


class PlatformStorage(DagsterPostgresStorage):
    """Named in deploy/dagster.yaml."""

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> DagsterPostgresStorage:
        """Raises SystemExit, with one line, in a process that serves the UI by itself."""
        command = second_door()
        if command:
            raise SystemExit(REFUSED.format(command=command))
        return super().from_config_value(inst_data, config_value)


def second_door() -> str | None:
    """The command of this process, if it is one that serves Dagster's UI by itself."""
    program, *arguments = sys.argv
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    name = spec.name.split(".")[0] if spec else Path(program).name
    if name in _SERVERS:
        return "dagster-webserver"
    words = [word for word in arguments if not word.startswith("-")]
    if name in ("dagster", "dg") and words[:1] == ["dev"]:
        return f"{name} dev"
    return None
