"""`./run sample-data` on the command line."""

from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from repayment_platform.commands.sample_data import sample_data
from repayment_platform.sample_data.cases import MIXES

FEW = ["--payments", "16", "--seed", "5", "--date", "2026-11-22"]


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(sample_data)
    return CliRunner().invoke(app, list(arguments))


def test_it_says_what_it_wrote_and_what_must_come_of_it(tmp_path: Path) -> None:
    result = run(str(tmp_path / "new" / "folder"), *FEW)
    assert result.exit_code == 0, result.output
    assert "RAW_UGRO_RAZORPAY_API" in result.output
    assert "ARTHMATE" in result.output
    assert (tmp_path / "new" / "folder" / "truth.json").is_file()


def test_it_refuses_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = run(str(tmp_path), *FEW)
    assert result.exit_code == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "mine.txt"]


def test_force_replaces_an_earlier_sample_and_nothing_else(tmp_path: Path) -> None:
    run(str(tmp_path), *FEW, "--payments", "60")
    (tmp_path / "mine.txt").write_text("mine")
    again = run(str(tmp_path), *FEW, "--force")
    assert again.exit_code == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"
    fresh = tmp_path / "fresh"
    run(str(fresh), *FEW)
    names = {path.relative_to(fresh) for path in fresh.rglob("*.*")}
    kept = {
        path.relative_to(tmp_path) for path in tmp_path.rglob("*.*") if fresh not in path.parents
    }
    assert kept == names | {Path("mine.txt")}
    assert (tmp_path / "truth.json").read_bytes() == (fresh / "truth.json").read_bytes()


def test_too_few_payments_are_refused(tmp_path: Path) -> None:
    assert run(str(tmp_path), "--payments", str(len(MIXES) - 1)).exit_code == 2
