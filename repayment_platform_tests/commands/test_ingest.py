"""`./run ingest`: what it prints and how it exits."""

from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from repayment_platform.commands.ingest import ingest
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.sources.reading import NACH, SAMPLES, row, text_of

app = Typer()
app.command()(ingest)


@pytest.fixture
def run(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Run":
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_urls.psycopg)
    monkeypatch.setenv("FINERACT_BASE_URL", "sandbox")
    return Run()


class Run:
    def __call__(self, file: Path, source: str, *options: str) -> Result:
        return CliRunner().invoke(app, [str(file), "--source", source, *options])


def test_a_landed_file_is_summed_up(run: Run) -> None:
    result = run(SAMPLES / "nach_generic_lender_mis.csv", "raw_arthmate_nach_csv")
    assert result.exit_code == 0, result.output
    for words in (
        "nach_generic_lender_mis.csv",
        "RAW_ARTHMATE_NACH_CSV",
        "rows landed",
        "12500.50",
    ):
        assert words in result.output


def test_the_same_file_again_is_no_error(run: Run) -> None:
    sample = SAMPLES / "payment_file_vivriti_like.csv"
    run(sample, "RAW_VIVRITI_PAYMENT_CSV")
    result = run(sample, "RAW_VIVRITI_PAYMENT_CSV")
    assert result.exit_code == 0
    assert "duplicate of file 1; nothing landed" in result.output


def test_a_file_that_cannot_be_taken_exits_with_two_and_says_why(run: Run, tmp_path: Path) -> None:
    result = run(tmp_path / "nowhere.csv", NACH)
    assert result.exit_code == 2
    assert "failed: UNREADABLE_FILE" in result.output


def test_a_preview_lands_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text(text_of(row(), row(Amount="x")))
    result = run(file, NACH, "--preview")
    assert "rows would land" in result.output
    assert "line 3: BAD_DECIMAL: amount 'x': not a decimal number" in result.output
    assert "duplicate" not in run(file, NACH).output
    assert "rows would be quarantined" in result.output
    assert "DMI-APP-1,HDFC7011311230001234,06/11/2025,x" in result.output


def test_a_correction_is_previewed_with_old_and_new_values(run: Run, tmp_path: Path) -> None:
    first, corrected = tmp_path / "first.csv", tmp_path / "corrected.csv"
    first.write_text(text_of(row(), row(Presentation_Reference="NPT2")))
    corrected.write_text(text_of(row(Amount="501")))
    run(first, NACH)
    for options in (("--preview",), ()):
        result = run(corrected, NACH, "--supersedes", "1", *options)
        assert result.exit_code == 0, result.output
        words = " ".join(result.output.split())
        assert "payments changed 1" in words
        assert "payments withdrawn 1" in words
        assert "changed line 2: DMI-APP-1 · 2025-11-06 · 500.00 → 501.00 · success" in words
    refused = run(corrected, NACH, "--supersedes", "7")
    assert refused.exit_code == 0  # its bytes have landed, whatever it was to supersede
    corrected.write_text(text_of(row(Amount="502")))
    refused = run(corrected, NACH, "--supersedes", "7")
    assert (refused.exit_code, "there is no file 7" in refused.output) == (2, True)
