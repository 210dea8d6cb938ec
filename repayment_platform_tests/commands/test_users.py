"""`./run users` and the first start, as an administrator meets them."""

import re
from typing import Any

import psycopg

from repayment_platform.commands.operations import first_user
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations.users import verify
from repayment_platform_tests.command import Commands


def test_a_user_is_added_with_a_password_that_is_shown_once_or_typed(
    run: Commands, connection: psycopg.Connection[Any]
) -> None:
    added = run("users", "add", "asha", "operator")
    made = re.search(r"shown only now: (\S+)", added.stdout)
    assert made
    assert verify(connection, "asha", made[1])
    assert run("users", "add", "ravi", "approver", "--ask", typed="wind over the paddy\n").code == 0
    assert verify(connection, "ravi", "wind over the paddy")
    listed = run("users", "list").stdout
    assert re.search(r"asha +operator +active +one-time", listed)
    assert re.search(r"ravi +approver +active +own", listed)
    assert run("users", "role", "asha", "viewer").code == 0
    assert run("users", "disable", "ravi").code == 0
    assert not verify(connection, "ravi", "wind over the paddy")
    audited = connection.execute('SELECT action, subject FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id')
    assert audited.fetchall() == [
        ("user.add", "asha"),
        ("user.add", "ravi"),
        ("user.role", "asha"),
        ("user.disable", "ravi"),
    ]


def test_what_cannot_be_done_is_said_in_one_line(run: Commands) -> None:
    for arguments, problem in (
        (("add", "Asha!", "viewer"), "a name is"),
        (("role", "nobody", "viewer"), "there is no user nobody"),
        (("password", "nobody"), "there is no user nobody"),
    ):
        refused = run("users", *arguments)
        assert refused.code == 1
        assert refused.complaint.startswith("users: ")
        assert problem in refused.complaint
        assert refused.complaint.count("\n") == 1


def test_the_first_start_makes_an_admin_and_no_later_one_does(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    told = first_user(database_urls.psycopg)
    password = re.search(r"password  (\S+)", told)
    assert password
    assert verify(connection, "admin", password[1])
    assert first_user(database_urls.psycopg) == ""
