"""Somebody's own database, which goes away and comes back while `up` runs."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from repayment_platform.commands import database_watch
from repayment_platform.commands.database_watch import watched
from repayment_platform.warehouse.embedded import EmbeddedServer, embedded_postgres
from repayment_platform_tests.waiting import wait_until


def test_a_database_that_is_away_hung_or_back_is_told_once_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database_watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(database_watch, "CONNECT_SECONDS", 2)
    home = Path(tempfile.mkdtemp(prefix="own "))
    said: list[str] = []

    def times(words: str) -> int:
        said.append(capsys.readouterr().err)
        return "".join(said).count(words)

    def server() -> int:
        return int((home / "pgdata" / "postmaster.pid").read_text().split()[0])

    try:
        with embedded_postgres(home) as urls, watched(urls.psycopg):
            os.kill(server(), signal.SIGKILL)
            wait_until(lambda: times("database is away (") == 1)
            EmbeddedServer(home).start_again(None)
            wait_until(lambda: times("database is back") == 1)
            os.kill(server(), signal.SIGSTOP)
            wait_until(lambda: times("database is away (") == 2)
            os.kill(server(), signal.SIGCONT)
            wait_until(lambda: times("database is back") == 2)
        assert "it is not ours to start" in "".join(said)
    finally:
        shutil.rmtree(home)
