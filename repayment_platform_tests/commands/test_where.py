"""What posts or changes anything says first, in one line, on which database and which ledger."""

import re

import pytest

from repayment_platform.cli import GROUPS, NAMES
from repayment_platform.commands.users import app as users
from repayment_platform_tests.command import Commands

AWAY = "postgresql://repayment_application:open-sesame@127.0.0.1:1/money?sslmode=disable"
LEDGER = "https://ledger.example/fineract-provider/api/v1"
WHERE = f"Database: money on 127.0.0.1, port 1. Ledger: {LEDGER}."
CHANGING = {
    "up": (),
    "ingest": ("file.csv", "--source", "RAW_DMI_NACH_CSV"),
    "replay": ("--source", "RAW_DMI_NACH_CSV"),
    "pipeline": (),
    "reconcile": ("--lender", "UGRO"),
    "send-again": ("key", "--why", "because"),
    "repost": ("key", "--why", "because"),
    "rejected": ("key", "--why", "because"),
    "decide": ("17-a3f2b1", "leave", "--why", "because"),
    "hold": ("key", "--why", "because"),
    "close-exception": ("17", "--why", "because"),
    "guard": ("DMI", "--resume"),
    "migrate": (),
    "restore": (__file__, "--replace"),
    "restored": ("--why", "because"),
    "dbt": ("build",),
    "sql": ("SELECT 1",),
    "operations": ("--no-first-user",),
    "users add": ("asha", "operator"),
    "users role": ("asha", "operator"),
    "users disable": ("asha",),
    "users enable": ("asha",),
    "users password": ("asha",),
}
"""With as many arguments as it takes to begin."""
ELSEWHERE = {
    "demo": "says it of a home of its own",
    "webhooks": "waits for a database that is away",
    "sample-data": "sends to the sandbox alone, or writes into a folder",
    "faults": "makes what it needs",
    "worlds": "makes what it needs",
}
LOOKING = {"status", "exceptions", "holds", "doctor", "backup", "metrics", "users list"}


def named_commands() -> set[str]:
    names = {NAMES.get(c, c.__name__).replace("_", "-") for group in GROUPS.values() for c in group}
    of_users = {c.name or c.callback.__name__ for c in users.registered_commands if c.callback}
    return names | {f"users {name}" for name in of_users}


def test_every_command_is_one_that_changes_something_or_is_known_not_to() -> None:
    assert named_commands() == {*CHANGING, *ELSEWHERE, *LOOKING}


@pytest.mark.parametrize("command", CHANGING)
def test_a_command_that_changes_something_says_where_before_anything_else(command: str) -> None:
    """There is no such database: what a command says is what it says before it looks for it."""
    run = Commands(
        {
            "DATABASE_URL": AWAY,
            "FINERACT_BASE_URL": LEDGER,
            "FINERACT_ALLOWED_HOSTS": "ledger.example",
            "FINERACT_PASSWORD": "open-barley",
            "REPAYMENT_ENV_FILE": "/dev/null",
        }
    )
    done = run(*command.split(), *CHANGING[command])
    first, *rest = done.stderr.splitlines()
    assert first == WHERE
    assert done.code != 0
    assert not re.search("open-(sesame|barley)", done.stdout + done.stderr)
    assert [line for line in rest if line.startswith("Database:")] == []


def test_the_embedded_database_and_the_sandbox_are_named_as_such(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from repayment_platform.commands.platform import settings_told

    for name in ("DATABASE_URL", "FINERACT_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REPAYMENT_ENV_FILE", "/dev/null")
    monkeypatch.setenv("REPAYMENT_HOME", "/somewhere/home")
    settings_told()
    said = capfd.readouterr().err
    assert said == (
        "Database: the embedded one in /somewhere/home. Ledger: the built-in SANDBOX.\n"
    )
