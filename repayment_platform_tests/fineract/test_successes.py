"""What is taken for the success of a repayment, and what only looks like one."""

import json
from typing import Any

import pytest

from repayment_platform.fineract.contract import AwaitingApproval, Posted, Unknown
from repayment_platform_tests.fineract.raw_server import http
from repayment_platform_tests.fineract.values import (
    AWAITING,
    DOMAIN_RULE,
    GATEWAY_PAGE,
    SUCCESS,
    VALIDATION,
    error,
)

pytestmark = pytest.mark.anyio

CACHED = {"x_served_from_cache": "true"}


async def test_a_fresh_complete_success_is_posted(post) -> None:
    assert await post(http(200, json.dumps(SUCCESS))) == Posted(22)


async def test_a_success_without_an_echo_is_posted(post) -> None:
    body = {name: value for name, value in SUCCESS.items() if name != "changes"}
    assert await post(http(200, json.dumps(body))) == Posted(22)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"resourceId": None},
        {"resourceId": "22"},
        {"resourceId": True},
        {"resourceId": 0},
        {"resourceExternalId": None},
        {"resourceExternalId": "pay-2"},
        {"resourceExternalId": {"value": "pay-1"}},
        {"rollbackTransaction": True},
        {"changes": SUCCESS["changes"] | {"transactionAmount": "125.51"}},
        {"changes": SUCCESS["changes"] | {"transactionAmount": "a lot"}},
        {"changes": SUCCESS["changes"] | {"transactionDate": "2026-11-21"}},
        {"changes": SUCCESS["changes"] | {"externalId": "pay-2"}},
        {"changes": ["transactionAmount"]},
    ],
)
async def test_a_success_that_contradicts_the_request_is_unknown(
    post, spoilt: dict[str, Any]
) -> None:
    assert isinstance(await post(http(200, json.dumps(SUCCESS | spoilt))), Unknown)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "null", '"ok"', GATEWAY_PAGE, "[" * 100_000),
        json.dumps(SUCCESS | {"officeId": float("nan")}),
        json.dumps(SUCCESS)[:-1] + ', "officeId": 1e99999999999999999999}',
    ],
)
async def test_a_success_without_a_json_object_is_unknown(post, body: str) -> None:
    reply = await post(http(200, body))
    assert isinstance(reply, Unknown)


async def test_a_success_of_another_content_type_is_unknown(post) -> None:
    assert isinstance(await post(http(200, json.dumps(SUCCESS), "text/html")), Unknown)
    assert isinstance(await post(http(200, json.dumps(SUCCESS), None)), Unknown)


@pytest.mark.parametrize("status", [201, 202, 204, 206])
async def test_no_other_status_below_300_is_a_success(post, status: int) -> None:
    body = "" if status == 204 else json.dumps(SUCCESS)
    assert isinstance(await post(http(status, body)), Unknown)


async def test_a_maker_checker_answer_awaits_approval(post) -> None:
    assert await post(http(200, json.dumps(AWAITING))) == AwaitingApproval(57)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, json.dumps(SUCCESS)),
        (200, json.dumps(AWAITING)),
        (400, error(400, VALIDATION, "validation.msg.invalid.decimal.format")),
        (400, ""),
        (403, error(403, DOMAIN_RULE, "error.msg.loan.transaction.cannot.be.a.future.date")),
        (409, error(409, "error.msg.platform.service.lock.conflict")),
        (425, '{"transactionAmount":125.50}'),
        (500, '{"Exception":"java.lang.NullPointerException"}'),
    ],
)
async def test_whatever_fineract_repeats_from_its_cache_is_unknown(
    post, status: int, body: str
) -> None:
    assert isinstance(await post(http(status, body, **CACHED)), Unknown)


async def test_a_duplicate_in_progress_is_unknown_even_without_the_cache_header(post) -> None:
    assert isinstance(await post(http(425, '{"transactionAmount":125.50}')), Unknown)
