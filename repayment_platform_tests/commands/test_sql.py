"""`./run sql`: its output and its exit code."""

import subprocess
import sys

from repayment_platform.settings import ROOT
from repayment_platform_tests.command import Commands


def test_rows_are_shown_as_a_table_with_their_number(run: Commands) -> None:
    shown = run("sql", "SELECT 12.50 AS amount, NULL AS nothing, '[red]x[/red]' AS text")
    assert [line.split() for line in shown.stdout.splitlines() if line.strip("─ ")] == [
        ["amount", "nothing", "text"],
        ["12.50", "[red]x[/red]"],
        ["(1", "row)"],
    ]
    assert shown.code == 0


def test_a_long_row_is_one_line_in_a_pipe(run: Commands) -> None:
    assert "x" * 500 in run("sql", "SELECT repeat('x', 500) AS wide").stdout


def test_csv_quotes_what_needs_it(run: Commands) -> None:
    shown = run("sql", "--csv", """SELECT 'a,"b"' AS one, NULL AS two, 1.10 AS three""")
    assert shown.stdout == 'one,two,three\n"a,""b""",,1.10\n'


def test_a_formula_in_a_text_is_no_formula_in_csv(run: Commands) -> None:
    shown = run("sql", "--csv", """SELECT '=1+1' AS one, -5.00 AS two, '-5.00' AS three""")
    assert shown.stdout == "one,two,three\n'=1+1,-5.00,-5.00\n"


def test_times_are_indian(run: Commands) -> None:
    statement = "SELECT timestamptz '2026-01-31 18:30:00+00' AS at"
    assert run("sql", "--csv", statement).stdout == "at\n2026-02-01 00:00:00+05:30\n"


def test_statements_may_write_and_a_percent_sign_is_one(run: Commands) -> None:
    written = run("sql", "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('100 %s')")
    assert written.stdout.splitlines() == ["CREATE TABLE", "INSERT 0 1"]
    assert run("sql", "--csv", "SELECT * FROM notes").stdout == "text\n100 %s\n"


def test_what_the_database_refuses_is_one_line_and_exit_code_1(run: Commands) -> None:
    refused = run("sql", "SELECT * FROM nowhere")
    assert refused.complaint == 'relation "nowhere" does not exist (SQLSTATE 42P01)\n'
    assert (refused.stdout, refused.code) == ("", 1)


def test_it_starts_without_loading_what_is_slow_to_load() -> None:
    slow = ("dagster", "alembic", "sqlalchemy", "pandas", "fastapi", "dbt")
    program = f"import sys, repayment_platform.cli; print(set({slow!r}) & set(sys.modules))"
    loaded = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout == "set()\n", loaded.stdout
