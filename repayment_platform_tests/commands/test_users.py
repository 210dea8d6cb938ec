"""`./run users` and the first start, as an administrator meets them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from repayment_platform.commands.operations import first_user
from repayment_platform.settings import ROOT
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations.users import verify

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def users(database_urls: DatabaseUrls) -> Run:
    def run(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            (sys.executable, "-m", "repayment_platform.cli", "users", *arguments),
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            input=typed,
            env={
                **os.environ,
                "DATABASE_URL": database_urls.psycopg,
                "FINERACT_BASE_URL": "sandbox",
            },
        )

    return run


def test_a_user_is_added_with_a_password_that_is_shown_once_or_typed(
    users: Run, connection: psycopg.Connection[Any]
) -> None:
    added = users("add", "asha", "operator")
    made = re.search(r"shown only now: (\S+)", added.stdout)
    assert made
    assert verify(connection, "asha", made[1])
    assert users("add", "ravi", "approver", "--ask", typed="wind over the paddy\n").returncode == 0
    assert verify(connection, "ravi", "wind over the paddy")
    listed = users("list").stdout
    assert re.search(r"asha +operator +active +one-time", listed)
    assert re.search(r"ravi +approver +active +own", listed)
    assert users("role", "asha", "viewer").returncode == 0
    assert users("disable", "ravi").returncode == 0
    assert not verify(connection, "ravi", "wind over the paddy")
    audited = connection.execute('SELECT action, subject FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id')
    assert audited.fetchall() == [
        ("user.add", "asha"),
        ("user.add", "ravi"),
        ("user.role", "asha"),
        ("user.disable", "ravi"),
    ]


def test_what_cannot_be_done_is_said_in_one_line(users: Run) -> None:
    for arguments, problem in (
        (("add", "Asha!", "viewer"), "a name is"),
        (("role", "nobody", "viewer"), "there is no user nobody"),
        (("password", "nobody"), "there is no user nobody"),
    ):
        refused = users(*arguments)
        assert refused.returncode == 1
        assert refused.stderr.startswith("users: ")
        assert problem in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_the_first_start_makes_an_admin_and_no_later_one_does(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    told = first_user(database_urls.psycopg)
    password = re.search(r"password  (\S+)", told)
    assert password
    assert verify(connection, "admin", password[1])
    assert first_user(database_urls.psycopg) == ""
