"""Every documented answer to a repayment, sent by a real server, and what it proves."""

import json
from datetime import timedelta
from typing import Any

import pytest

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    AwaitingApproval,
    Posted,
    Refused,
    Repayment,
    SystemFault,
    Transient,
    Unknown,
)
from repayment_platform_tests.fineract.raw_server import RawServer, http
from repayment_platform_tests.fineract.values import (
    AWAITING,
    DOMAIN_RULE,
    GATEWAY_PAGE,
    KEY,
    NOT_FOUND,
    REPAYMENT,
    SERVLET_400,
    SERVLET_401,
    SUCCESS,
    TODAY,
    TOMCAT_400,
    TOMCAT_404,
    VALIDATION,
    bare_error,
    error,
)

pytestmark = pytest.mark.anyio

TRANSACTION = "validation.msg.loan.transaction"
REALM = {"WWW_Authenticate": 'Basic realm="Fineract Platform API"'}
CACHED = {"x_served_from_cache": "true"}

ROW_FAULTS = [
    (404, NOT_FOUND, "error.msg.loan.external.id.invalid"),
    (404, NOT_FOUND, "error.msg.payment.type.invalid"),
    (404, NOT_FOUND, "error.msg.some.other.invalid"),
    (400, VALIDATION, f"{TRANSACTION}.transactionDate.cannot.be.blank"),
    (400, VALIDATION, f"{TRANSACTION}.transactionAmount.cannot.be.blank"),
    (400, VALIDATION, f"{TRANSACTION}.transactionAmount.not.greater.than.zero"),
    (400, VALIDATION, "validation.msg.invalid.dateFormat.format"),
    (400, VALIDATION, "validation.msg.invalid.decimal.format"),
    (400, VALIDATION, f"{TRANSACTION}.note.exceeds.max.length"),
    (400, VALIDATION, "validation.msg.some.new.rule"),
    (400, VALIDATION, "error.msg.loan.must.be.active.fully.paid.or.overpaid"),
    (403, DOMAIN_RULE, "error.msg.loan.transaction.cannot.be.before.disbursement.date"),
    (
        403,
        DOMAIN_RULE,
        "error.msg.loan.repayment.or.waiver.cannot.be.made.before.last.transaction.date",
    ),
    (403, DOMAIN_RULE, "error.msg.loan.application.repayment.date.on.holiday"),
    (403, DOMAIN_RULE, "error.msg.loan.application.repayment.date.on.non.working.day"),
    (403, DOMAIN_RULE, "error.msg.client.not.active.exception"),
    (403, DOMAIN_RULE, "error.msg.group.not.active.exception"),
    (403, DOMAIN_RULE, "error.msg.some.new.rule"),
]

SYSTEM_FAULTS = [
    (403, "error.msg.not.authorized", "error.msg.not.authorized"),
    (401, "error.msg.not.authenticated", "error.msg.not.authenticated"),
    (400, VALIDATION, "error.msg.query.parameter.value.unsupported"),
    (400, VALIDATION, "error.msg.parameter.unsupported"),
    (400, VALIDATION, "validation.msg.missing.dateFormat.parameter"),
    (400, VALIDATION, "validation.msg.missing.locale.parameter"),
    (400, VALIDATION, "validation.msg.invalid.locale.format"),
    (401, "error.msg.invalid.tenant.identifier", "error.msg.invalid.tenant.identifier"),
    (405, "error.msg.invalid.instance.type", "error.msg.invalid.instance.type"),
    (503, "error.msg.platform.service.unavailable", "error.msg.some.new.rule"),
    (
        503,
        "error.msg.platform.service.unavailable",
        "error.msg.sheduler.job.currently.running",
    ),
]

DUPLICATES = [
    (400, VALIDATION, f"{TRANSACTION}.externalId.value.must.be.unique"),
    (
        403,
        "error.msg.loan.repayment.duplicate.externalId",
        "error.msg.loan.repayment.duplicate.externalId",
    ),
    (
        403,
        "error.msg.loan.repayment.unknown.data.integrity.issue",
        "error.msg.loan.repayment.unknown.data.integrity.issue",
    ),
    (403, "error.msg.data.integrity.issue", "error.msg.data.integrity.issue"),
]

LOCKED = error(409, "error.msg.loan.locked")


@pytest.fixture
def post(raw: RawServer, client: FineractClient):
    async def post(response: bytes, repayment: Repayment = REPAYMENT):
        raw.plays(response)
        return await client.post_repayment(repayment, KEY)

    return post


# Success ----------------------------------------------------------------------------------


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


# Cached -----------------------------------------------------------------------------------


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


# The row's fault --------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "top", "code"), ROW_FAULTS)
async def test_a_documented_fault_of_the_payment_is_refused_in_fineracts_words(
    post, status: int, top: str, code: str
) -> None:
    reply = await post(http(status, error(status, top, code)))
    assert reply == Refused(code, f"user: {code}", status)


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
        bare_error("validation.msg.a", "first\n line"),
        bare_error("validation.msg.b", "first line"),
        bare_error("validation.msg.c", "x" * 2000),
    ]
    reply = await post(http(400, error(400, VALIDATION, errors=items)))
    assert isinstance(reply, Refused)
    assert reply.code == "validation.msg.a"
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
