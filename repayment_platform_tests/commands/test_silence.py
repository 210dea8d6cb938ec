"""A database that goes away, a part that hangs, and what is said of it."""

import os
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

from repayment_platform.commands import silence
from repayment_platform.commands.services import Service, running_services
from repayment_platform.commands.silence import database_away, part_hangs, watched
from repayment_platform.warehouse.embedded import EmbeddedServer, embedded_postgres
from repayment_platform_tests.commands.test_supervisor import SERVES
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.waiting import wait_until


def test_a_database_that_is_away_hung_or_back_is_told_once_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(silence, "CONNECT_SECONDS", 2)
    home = Path(tempfile.mkdtemp(prefix="own "))
    said: list[str] = []

    def times(words: str) -> int:
        said.append(capsys.readouterr().err)
        return "".join(said).count(words)

    def server() -> int:
        return int((home / "pgdata" / "postmaster.pid").read_text().split()[0])

    try:
        with (
            embedded_postgres(home) as urls,
            watched("database", partial(database_away, urls.psycopg)),
        ):
            os.kill(server(), signal.SIGKILL)
            wait_until(lambda: times("database is away (") == 1)
            EmbeddedServer(home).start_again(None)
            wait_until(lambda: times("database answers again") == 1)
            os.kill(server(), signal.SIGSTOP)
            wait_until(lambda: times("database is away (") == 2)
            os.kill(server(), signal.SIGCONT)
            wait_until(lambda: times("database answers again") == 2)
    finally:
        shutil.rmtree(home)


def test_a_part_that_is_stopped_is_told_to_hang_and_to_answer_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(silence, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(silence, "ANSWER_SECONDS", 1)
    port = free_port()
    service = Service("part", (sys.executable, "-c", SERVES, str(port)), port)
    said: list[str] = []

    def was_said(words: str) -> bool:
        said.append(capsys.readouterr().err)
        return words in "".join(said)

    with running_services([service], tmp_path, os.environ) as (part,):
        pid = int(part.log.read_text().split()[1])
        assert part_hangs(service) is None
        with watched("part", partial(part_hangs, service)):
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: was_said("part hangs: it has said nothing for 1 s"))
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: was_said("part answers again"))
    assert part_hangs(service) is None  # it has ended, which another says
