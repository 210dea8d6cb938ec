"""`./run sql` as its user meets it: a process, its output and its exit code."""

import os
import subprocess
import sys

import pytest

from repayment_platform.settings import ROOT
from repayment_platform.warehouse.urls import DatabaseUrls


@pytest.fixture
def run_sql(database_urls: DatabaseUrls):
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (sys.executable, "-m", "repayment_platform.cli", "sql", *arguments),
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={
                **os.environ,
                "DATABASE_URL": database_urls.psycopg,
                "FINERACT_BASE_URL": "sandbox",
            },
        )

    return run


def test_rows_are_shown_as_a_table_with_their_number(run_sql) -> None:
    shown = run_sql("SELECT 12.50 AS amount, NULL AS nothing, '[red]x[/red]' AS text")
    assert [line.split() for line in shown.stdout.splitlines() if line.strip("─ ")] == [
        ["amount", "nothing", "text"],
        ["12.50", "[red]x[/red]"],
        ["(1", "row)"],
    ]
    assert shown.returncode == 0


def test_a_long_row_is_one_line_in_a_pipe(run_sql) -> None:
    assert "x" * 500 in run_sql("SELECT repeat('x', 500) AS wide").stdout


def test_csv_quotes_what_needs_it(run_sql) -> None:
    shown = run_sql("--csv", """SELECT 'a,"b"' AS one, NULL AS two, 1.10 AS three""")
    assert shown.stdout == 'one,two,three\n"a,""b""",,1.10\n'


def test_a_formula_in_a_text_is_no_formula_in_csv(run_sql) -> None:
    shown = run_sql("--csv", """SELECT '=1+1' AS one, -5.00 AS two, '-5.00' AS three""")
    assert shown.stdout == "one,two,three\n'=1+1,-5.00,-5.00\n"


def test_times_are_indian(run_sql) -> None:
    statement = "SELECT timestamptz '2026-01-31 18:30:00+00' AS at"
    assert run_sql("--csv", statement).stdout == "at\n2026-02-01 00:00:00+05:30\n"


def test_statements_may_write_and_a_percent_sign_is_one(run_sql) -> None:
    written = run_sql("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('100 %s')")
    assert written.stdout.splitlines() == ["CREATE TABLE", "INSERT 0 1"]
    assert run_sql("--csv", "SELECT * FROM notes").stdout == "text\n100 %s\n"


def test_what_the_database_refuses_is_one_line_and_exit_code_1(run_sql) -> None:
    refused = run_sql("SELECT * FROM nowhere")
    assert refused.stderr == 'relation "nowhere" does not exist (SQLSTATE 42P01)\n'
    assert (refused.stdout, refused.returncode) == ("", 1)


def test_it_starts_without_loading_what_is_slow_to_load() -> None:
    slow = ("dagster", "alembic", "sqlalchemy", "pandas", "fastapi", "dbt")
    program = f"import sys, repayment_platform.cli; print(set({slow!r}) & set(sys.modules))"
    loaded = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout == "set()\n", loaded.stdout
