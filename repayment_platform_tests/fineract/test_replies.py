"""Every documented refusal of a repayment, sent by a real server, and what it proves."""

import json
from datetime import timedelta

import pytest

from repayment_platform.fineract.contract import (
    Refused,
    Repayment,
    SystemFault,
    Transient,
    Unknown,
    Unreached,
)
from repayment_platform_tests.fineract.documented import (
    BUSY,
    DUPLICATES,
    ROW_FAULTS,
    SYSTEM_FAULTS,
    TRANSACTION,
    UNLISTED,
)
from repayment_platform_tests.fineract.raw_server import http
from repayment_platform_tests.fineract.values import (
    DOMAIN_RULE,
    GATEWAY_PAGE,
    REPAYMENT,
    SERVLET_400,
    SERVLET_401,
    TODAY,
    TOMCAT_400,
    TOMCAT_404,
    VALIDATION,
    bare_error,
    error,
)

pytestmark = pytest.mark.anyio

REALM = {"WWW_Authenticate": 'Basic realm="Fineract Platform API"'}

LOCKED = error(409, "error.msg.loan.locked")


# The row's fault --------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "top", "code"), ROW_FAULTS)
async def test_a_documented_fault_of_the_payment_is_refused_in_fineracts_words(
    post, status: int, top: str, code: str
) -> None:
    reply = await post(http(status, error(status, top, code)))
    assert reply == Refused(code, f"user: {code}", status)


@pytest.mark.parametrize(("status", "top", "code"), UNLISTED)
async def test_a_refusal_for_a_reason_that_is_not_documented_proves_nothing_by_itself(
    post, status: int, top: str, code: str
) -> None:
    reply = await post(http(status, error(status, top, code)))
    assert isinstance(reply, Unknown)
    assert reply.refused == Refused(code, f"user: {code}", status)
    assert not reply.server_trouble


async def test_a_documented_reason_beside_others_is_proof(post) -> None:
    documented = f"{TRANSACTION}.transactionAmount.not.greater.than.zero"
    items = [bare_error("validation.msg.some.new.rule"), bare_error(documented)]
    reply = await post(http(400, error(400, VALIDATION, errors=items)))
    assert isinstance(reply, Refused)
    assert reply.code == documented


@pytest.mark.parametrize(("status", "_top", "code"), ROW_FAULTS + SYSTEM_FAULTS + DUPLICATES)
async def test_a_documented_code_decides_without_the_general_one_above_it(
    post, status: int, _top: str, code: str
) -> None:
    reply = await post(http(status, error(status, code)))
    if "some" in code:
        assert isinstance(reply, Unknown)
    else:
        assert reply == await post(http(status, error(status, code, code)))
        assert not isinstance(reply, Unknown) or reply.already_there


async def test_all_that_is_wrong_is_told_once_and_on_one_line(post) -> None:
    items = [
        bare_error(f"{TRANSACTION}.note.exceeds.max.length", "first\n line"),
        bare_error("validation.msg.b", "first line"),
        bare_error("validation.msg.c", "x" * 2000),
    ]
    reply = await post(http(400, error(400, VALIDATION, errors=items)))
    assert isinstance(reply, Refused)
    assert reply.code == f"{TRANSACTION}.note.exceeds.max.length"
    assert reply.text.startswith("first line; xxx")
    assert len(reply.text) == 500


async def test_the_future_by_the_calendar_is_the_rows_fault(post) -> None:
    code = "error.msg.loan.transaction.cannot.be.a.future.date"
    tomorrow = Repayment("LN-1", "pay-1", TODAY + timedelta(days=1), REPAYMENT.amount)
    reply = await post(http(403, error(403, DOMAIN_RULE, code)), tomorrow)
    assert reply == Refused(code, f"user: {code}", 403)


async def test_a_refused_future_that_is_today_in_india_passes_by_itself(post) -> None:
    code = "error.msg.loan.transaction.cannot.be.a.future.date"
    assert await post(http(403, error(403, DOMAIN_RULE, code))) == Transient(code, f"user: {code}")


@pytest.mark.parametrize("status", [400, 404])
async def test_a_loan_id_that_the_server_takes_in_no_path_stops_only_its_own_row(
    post, status: int
) -> None:
    odd = Repayment("LN/1", "pay-1", TODAY, REPAYMENT.amount)
    reply = await post(http(status, TOMCAT_400, "text/html"), odd)
    assert isinstance(reply, Refused)


# Transient --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lock", "optimistic lock", "query", "unknown"])
async def test_a_lock_conflict_passes_by_itself(post, kind: str) -> None:
    code = f"error.msg.platform.service.{kind}.conflict"
    assert await post(http(409, error(409, code))) == Transient(code, f"user: {code}")


async def test_a_loan_locked_by_the_end_of_day_passes_by_itself(post) -> None:
    body = json.loads(LOCKED)
    del body["errors"]
    reply = await post(http(409, json.dumps(body), content_type=None))
    assert reply == Transient("error.msg.loan.locked", "user: error.msg.loan.locked")


async def test_too_many_requests_pass_by_themselves_when_the_server_says(post) -> None:
    reply = await post(http(429, GATEWAY_PAGE, "text/html", Retry_After="7"))
    assert reply == Transient("http.429", "Too many requests", 7.0)
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    reply = await post(http(429, "", None, Retry_After=past))
    assert isinstance(reply, Transient)
    assert reply.retry_after_seconds == 0
    reply = await post(http(429, "", None, Retry_After="soon"))
    assert isinstance(reply, Transient)
    assert reply.retry_after_seconds is None


# The system's fault -----------------------------------------------------------------------


@pytest.mark.parametrize(("status", "top", "code"), SYSTEM_FAULTS)
async def test_a_documented_fault_of_the_set_up_is_no_payments_fault(
    post, status: int, top: str, code: str
) -> None:
    reply = await post(http(status, error(status, top, code)))
    assert reply == SystemFault(code, f"user: {code}")


@pytest.mark.parametrize(("status", "top", "code"), BUSY)
async def test_a_fineract_that_takes_nothing_at_the_moment_has_posted_nothing(
    post, status: int, top: str, code: str
) -> None:
    reply = await post(http(status, error(status, top, code)))
    assert reply == Unreached(code, f"user: {code}")


async def test_unreadable_json_is_our_own_fault(post) -> None:
    body = json.dumps(bare_error("error.msg.invalid.request.body"))
    reply = await post(http(400, body))
    assert isinstance(reply, SystemFault)
    assert reply.code == "error.msg.invalid.request.body"


@pytest.mark.parametrize(
    "response",
    [
        http(401, SERVLET_401, **REALM),
        http(401, "", None, **REALM),
        http(400, SERVLET_400, **REALM),
        http(400, "", None, **REALM),
        http(400, SERVLET_400),
        http(400, TOMCAT_400, "text/html"),
        http(404, TOMCAT_404, "text/html"),
        http(404, SERVLET_400.replace("400", "404")),
        http(405, "", None),
        http(302, "", None, Location="https://elsewhere.example/login"),
        http(308, "", None, Location="/elsewhere"),
    ],
)
async def test_wrong_user_tenant_or_address_is_the_systems_fault(post, response: bytes) -> None:
    assert isinstance(await post(response), SystemFault)


# Unknown ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "top", "code"), DUPLICATES)
async def test_an_external_id_in_use_is_looked_up_at_once(
    post, status: int, top: str, code: str
) -> None:
    reply = await post(http(status, error(status, top, code)))
    assert isinstance(reply, Unknown)
    assert reply.already_there
    assert not reply.server_trouble


async def test_a_duplicate_among_other_errors_is_still_looked_up(post) -> None:
    codes = ("validation.msg.a", f"{TRANSACTION}.externalId.value.must.be.unique")
    reply = await post(http(400, error(400, VALIDATION, *codes)))
    assert isinstance(reply, Unknown)
    assert reply.already_there


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (GATEWAY_PAGE, "text/html"),
        ('{"Exception":"java.lang.NullPointerException"}', "application/json"),
        ("", None),
        (error(500, VALIDATION, "validation.msg.invalid.decimal.format"), "application/json"),
    ],
)
async def test_a_server_error_is_unknown_and_counts_as_trouble(
    post, status: int, body: str, content_type: str | None
) -> None:
    reply = await post(http(status, body, content_type))
    assert isinstance(reply, Unknown)
    assert reply.server_trouble


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, GATEWAY_PAGE),
        (403, GATEWAY_PAGE),
        (403, error(403, "error.msg.never.heard.of")),
        (403, error(403, DOMAIN_RULE, httpStatusCode="500")),
        (403, error(403, DOMAIN_RULE, errors=["a", "b"])),
        (403, error(403, DOMAIN_RULE, errors={"a": "b"})),
        (400, error(400, DOMAIN_RULE, "error.msg.loan.transaction.cannot.be.a.future.date")),
        (404, error(404, "error.msg.never.heard.of")),
        (403, error(403, "error.msg.new", "error.msg.client.not.active.exception", "error.msg.x")),
        (409, error(409, "error.msg.never.heard.of")),
        (409, ""),
        (408, ""),
        (413, ""),
        (418, ""),
    ],
)
async def test_an_answer_of_no_documented_shape_is_unknown(post, status: int, body: str) -> None:
    assert isinstance(await post(http(status, body, "text/html")), Unknown)
