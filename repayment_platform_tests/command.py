"""`./run …` in this process: what it prints and how it exits.

What belongs here: running one command as `./run` would, without the second that a process takes to
start. What does not: tests whose subject is the process: signals, start-up, kills.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from repayment_platform.warehouse.urls import DatabaseUrls
    from repayment_platform_tests.conftest import Sandbox


@dataclass(frozen=True)
class Done:
    """One command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """Its output without the layout of a table."""
        return " ".join(self.stdout.split())

    @property
    def complaint(self) -> str:
        """Its error output after the line that says on which database and ledger it works."""
        lines = self.stderr.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("Database: "))


@dataclass(frozen=True)
class Commands:
    """Runs commands on one database, and one sandbox where they need Fineract."""

    env: Mapping[str, str]

    def __call__(self, *arguments: str, typed: str = "", **env: str) -> Done:
        from typer.testing import CliRunner

        from repayment_platform.cli import app, one_line

        # Dagster's home is handed on in the environment, to processes and no further.
        with patch.dict(os.environ, {**self.env, **env}):
            ran = CliRunner().invoke(app, arguments, input=typed, prog_name="./run")
        problem, stdout, stderr = ran.exception, ran.stdout, ran.stderr
        if problem and (words := one_line(problem)):  # as `cli.main` says it
            return Done(1, stdout, f"{stderr}{words}\n")
        if problem and not isinstance(problem, SystemExit):
            raise problem
        # Python writes the words of an exit to stderr; click's runner to stdout.
        if problem and isinstance(problem.code, str):
            said = f"{problem.code}\n"
            return Done(1, stdout.removesuffix(said), stderr + said)
        return Done(ran.exit_code, stdout, stderr)


def commands_on(urls: "DatabaseUrls", sandbox: "Sandbox | None" = None) -> Commands:
    """Commands on a database, whatever the environment of the tests says."""
    env = {
        "DATABASE_URL": urls.psycopg,
        "FINERACT_BASE_URL": "sandbox",
        "REPAYMENT_ENV_FILE": os.devnull,
        "COLUMNS": "200",
    }
    if sandbox:
        env |= {"SANDBOX_PORT": str(sandbox.port), "REPAYMENT_HOME": str(sandbox.home)}
    return Commands(env)
