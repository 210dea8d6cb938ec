"""`./run replay`: what it prints and how it exits."""

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from repayment_platform.commands.replay import replay
from repayment_platform.landing.files import ingest_file
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.sources.reading import NACH, row, text_of

app = Typer()
app.command()(replay)


@pytest.fixture
def urls(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> DatabaseUrls:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_urls.psycopg)
    monkeypatch.setenv("FINERACT_BASE_URL", "sandbox")
    return database_urls


def run(*options: str) -> Result:
    return CliRunner().invoke(app, ["--source", *options])


def test_a_replay_is_summed_up(urls: DatabaseUrls, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text(text_of(row(), row(Amount="x")))
    ingest_file(urls.psycopg, file, NACH, received_by="test")
    for options in ((), ("--preview",), ("--file", "1")):
        result = run(NACH.lower(), *options)
        assert result.exit_code == 0, result.output
        words = " ".join(result.output.split())
        assert "rows read again 2" in words
        assert "read as before 1" in words
        assert "still in quarantine 1" in words


def test_what_cannot_be_replayed_exits_with_two_and_says_why(urls: DatabaseUrls) -> None:
    unknown = run("RAW_NOBODY_CSV")
    assert (unknown.exit_code, "the sources are: RAW_ARTHMATE" in unknown.output) == (2, True)
    no_file = run(NACH, "--file", "7")
    assert (no_file.exit_code, "7 is not a file of" in no_file.output) == (2, True)
