"""What Fineract says of itself and its user, and what is not believed."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from repayment_platform.fineract.about import (
    Server,
    User,
    read_business_date,
    read_checked,
    read_server,
    read_switch,
    read_user,
)
from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LookupFailed
from repayment_platform.fineract.wire import Answer
from repayment_platform_tests.fineract.raw_server import RawServer, http
from repayment_platform_tests.fineract.values import PASSWORD

KNOWN = {"username": "asha", "authenticated": True, "permissions": ["READ_LOAN", "READ_LOAN"]}


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(
        status, {"content-type": "application/json", **headers}, json.dumps(body).encode()
    )


@pytest.mark.parametrize(
    ("info", "version"),
    [
        ({"git": {"build": {"version": "1.13.0"}}}, "1.13.0"),
        ({"git": {"build": {"version": 1.13}}}, None),
        ({"git": "abc"}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_version_is_believed_where_it_stands_as_fineract_writes_it(
    info: Any, version: str | None
) -> None:
    told = read_server(answer(info, date="Fri, 20 Nov 2026 11:30:05 GMT"))
    assert told == Server(version, datetime(2026, 11, 20, 11, 30, 5, tzinfo=UTC))


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_a_closed_page_still_is_an_answer(headers: dict[str, str]) -> None:
    assert read_server(answer("no", 404, **headers)) == Server(None, None)


def test_a_users_rights_are_those_of_all_roles_and_what_they_include() -> None:
    user = read_user(answer(KNOWN))
    assert user == User("asha", frozenset({"READ_LOAN"}), must_renew_password=False)
    reader = User("asha", frozenset({"ALL_FUNCTIONS_READ"}), must_renew_password=False)
    assert reader.may("READ_LOAN")
    assert not reader.may("REPAYMENT_LOAN")


@pytest.mark.parametrize(
    "body",
    [
        KNOWN | {"authenticated": False},
        KNOWN | {"authenticated": "true"},
        {"username": "asha", "authenticated": True},
        KNOWN | {"permissions": "ALL_FUNCTIONS"},
        [],
        None,
    ],
)
def test_a_log_in_that_is_not_as_fineract_writes_it_tells_nothing(body: Any) -> None:
    assert isinstance(read_user(answer(body)), LookupFailed)


@pytest.mark.parametrize("written", [[2026, 11, 20], "2026-11-20"])
def test_a_business_date_is_read_as_old_and_new_ones_write_it(written: Any) -> None:
    assert read_business_date(answer({"date": written})) == date(2026, 11, 20)


@pytest.mark.parametrize("written", [None, [2026, 13, 1], [2026], "20 November", 20261120, {}])
def test_another_business_date_is_not_guessed(written: Any) -> None:
    assert read_business_date(answer({"date": written})) == LookupFailed(
        "date is not as Fineract writes it"
    )


def test_switches_and_what_is_checked_are_read_strictly() -> None:
    assert read_switch(answer({"enabled": False})) is False
    assert isinstance(read_switch(answer({"enabled": 0})), LookupFailed)
    listed = [{"code": "A", "selected": True}, {"code": "B", "selected": False}]
    assert read_checked(answer(listed)) == {"A"}
    assert isinstance(read_checked(answer({"A": True})), LookupFailed)
    assert isinstance(read_checked(answer([{"code": "A"}])), LookupFailed)


def test_a_refusal_says_why() -> None:
    code = "error.msg.not.authorized"
    body = {"userMessageGlobalisationCode": code, "defaultUserMessage": "No.", "errors": []}
    refused = read_switch(answer(body, 403))
    assert refused == LookupFailed(f"{code}: No.", system_fault=True)


@pytest.mark.anyio
async def test_a_log_in_is_sent_once_with_the_password_in_its_body_alone(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(http(200, json.dumps(KNOWN)))
    assert isinstance(await client.who_am_i(), User)
    (sent,) = raw.received
    assert sent.target == "/fineract-provider/api/v1/authentication"
    assert json.loads(sent.body) == {"username": "mifos", "password": PASSWORD.get_secret_value()}
