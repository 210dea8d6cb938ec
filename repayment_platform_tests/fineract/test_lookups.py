"""What is learned by asking: only exact answers prove anything."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    Absent,
    Elsewhere,
    Found,
    LedgerTransaction,
    Loan,
    LookupFailed,
    UnknownLoan,
)
from repayment_platform_tests.fineract.raw_server import RawServer, http
from repayment_platform_tests.fineract.values import (
    GATEWAY_PAGE,
    NOT_FOUND,
    SERVLET_400,
    SERVLET_401,
    TOMCAT_404,
    TRANSACTION,
    VALIDATION,
    error,
)

pytestmark = pytest.mark.anyio

ABSENT = error(404, NOT_FOUND, "error.msg.loan.transaction.external.id.invalid")
LOAN_UNKNOWN = error(404, NOT_FOUND, "error.msg.loan.external.id.invalid")
LEDGER_ROW = LedgerTransaction(
    22,
    "LN-1",
    "pay-1",
    Decimal("125.5"),
    date(2026, 11, 20),
    reversed=False,
    is_repayment=True,
    submitted_on=date(2026, 11, 20),
)


@pytest.fixture
def find(raw: RawServer, client: FineractClient):
    async def find(response: bytes):
        raw.plays(response)
        return await client.find_transaction("LN-1", "pay-1")

    return find


async def test_a_transaction_is_found_as_the_ledger_holds_it(find) -> None:
    assert await find(http(200, TRANSACTION)) == Found(LEDGER_ROW)


async def test_amounts_are_read_exactly(find) -> None:
    body = TRANSACTION.replace("125.500000", "9999999999999.990000")
    lookup = await find(http(200, body))
    assert isinstance(lookup, Found)
    assert lookup.transaction.amount == Decimal("9999999999999.99")


async def test_an_undone_transaction_is_found_as_reversed(find) -> None:
    body = TRANSACTION.replace('"manuallyReversed":false', '"manuallyReversed":true')
    lookup = await find(http(200, body))
    assert isinstance(lookup, Found)
    assert lookup.transaction.reversed


async def test_only_the_404_that_names_the_transaction_proves_absence(find) -> None:
    assert await find(http(404, ABSENT)) == Absent()


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (404, error(404, NOT_FOUND), {}),
        (404, error(404, "error.msg.never.heard.of"), {}),
        (404, ABSENT, {"x_served_from_cache": "true"}),
        (404, ABSENT.replace(NOT_FOUND, VALIDATION), {}),
        (404, error(404, NOT_FOUND, *2 * ["error.msg.loan.transaction.external.id.invalid"]), {}),
        (400, ABSENT, {}),
        (410, ABSENT.replace("404", "410"), {}),
        (500, ABSENT.replace("404", "500"), {}),
        (404, TOMCAT_404, {}),
        (404, "", {}),
    ],
)
async def test_no_other_answer_proves_absence(
    find, status: int, body: str, headers: dict[str, str]
) -> None:
    assert isinstance(await find(http(status, body, **headers)), LookupFailed)


async def test_a_transaction_of_an_unknown_loan_is_told_apart_from_an_absent_one(find) -> None:
    assert await find(http(404, LOAN_UNKNOWN)) == UnknownLoan(
        "user: error.msg.loan.external.id.invalid"
    )


async def test_a_transaction_on_another_loan_is_elsewhere(find) -> None:
    code = "error.msg.loan.transaction.id.invalid"
    assert await find(http(404, error(404, NOT_FOUND, code))) == Elsewhere(code, f"user: {code}")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"externalId": "pay-2"},
        {"externalId": None},
        {"externalId": 7},
        {"id": None},
        {"id": "22"},
        {"externalLoanId": None},
        {"amount": "125.50"},
        {"amount": None},
        {"amount": True},
        {"date": "2026-11-20"},
        {"date": [2026, 11]},
        {"date": [2026, 13, 1]},
        {"date": None},
        {"manuallyReversed": None},
        {"manuallyReversed": "false"},
        {"type": None},
        {"type": {"id": 2}},
    ],
)
async def test_a_transaction_not_written_as_fineract_does_proves_nothing(
    find, spoilt: dict[str, Any]
) -> None:
    body = json.dumps(json.loads(TRANSACTION) | spoilt)
    assert isinstance(await find(http(200, body)), LookupFailed)


@pytest.mark.parametrize(
    "response",
    [
        http(200, ""),
        http(200, "[]"),
        http(200, GATEWAY_PAGE, "text/html"),
        http(200, TRANSACTION, "text/plain"),
        http(200, TRANSACTION, x_served_from_cache="true"),
        http(206, TRANSACTION),
    ],
)
async def test_a_success_that_is_cached_or_no_json_proves_nothing(find, response: bytes) -> None:
    assert isinstance(await find(response), LookupFailed)


@pytest.mark.parametrize(
    "response",
    [
        http(401, SERVLET_401),
        http(400, SERVLET_400),
        http(404, TOMCAT_404, "text/html"),
        http(403, error(403, "error.msg.not.authorized")),
    ],
)
async def test_a_look_up_that_can_not_work_is_the_systems_fault(find, response: bytes) -> None:
    lookup = await find(response)
    assert isinstance(lookup, LookupFailed)
    assert lookup.system_fault


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_in_trouble_is_told_apart(find, status: int) -> None:
    lookup = await find(http(status, GATEWAY_PAGE, "text/html"))
    assert isinstance(lookup, LookupFailed)
    assert lookup.server_trouble
    assert not lookup.system_fault


async def test_a_cache_on_the_way_is_told_not_to_answer(raw: RawServer, find) -> None:
    await find(http(404, ABSENT))
    assert raw.received[0].headers["cache-control"] == "no-cache"


# Loans ------------------------------------------------------------------------------------


async def test_a_loan_is_read_with_its_state(raw: RawServer, client: FineractClient) -> None:
    raw.plays(http(200, '{"id":1,"externalId":"LN-1","status":{"id":300,"active":true}}'))
    assert await client.get_loan("LN-1") == Loan("LN-1", 300)
    disbursed = '"timeline":{"submittedOnDate":[2026,5,1],"actualDisbursementDate":[2026,6,1]}'
    raw.plays(http(200, f'{{"externalId":"LN-1","status":{{"id":600}},{disbursed}}}'))
    assert await client.get_loan("LN-1") == Loan("LN-1", 600, date(2026, 6, 1))


async def test_a_loan_that_fineract_does_not_have_is_unknown(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(http(404, LOAN_UNKNOWN))
    unknown = UnknownLoan("user: error.msg.loan.external.id.invalid")
    assert await client.get_loan("LN-1") == unknown
    assert await client.list_transactions("LN-1") == unknown


@pytest.mark.parametrize(
    "body",
    [
        *('{"externalId":"LN-2","status":{"id":300}}', '{"externalId":"LN-1"}', "{}", "[]", ABSENT),
        '{"externalId":"LN-1","status":{"id":300},"timeline":{"actualDisbursementDate":"soon"}}',
    ],
)
async def test_an_answer_about_another_loan_or_none_proves_nothing(
    raw: RawServer, client: FineractClient, body: str
) -> None:
    raw.plays(http(200, body))
    assert isinstance(await client.get_loan("LN-1"), LookupFailed)
    assert isinstance(await client.list_transactions("LN-1"), LookupFailed)


async def test_the_transactions_of_a_loan_are_listed_with_those_of_no_external_id(
    raw: RawServer, client: FineractClient
) -> None:
    disbursement = json.loads(TRANSACTION) | {"type": {"id": 1, "repayment": False}, "id": 21}
    del disbursement["externalId"]
    rows = f"[{json.dumps(disbursement)},{TRANSACTION}]"
    raw.plays(http(200, f'{{"externalId":"LN-1","status":{{"id":300}},"transactions":{rows}}}'))
    listing = await client.list_transactions("LN-1")
    assert raw.received[0].target.endswith("/LN-1?associations=transactions")
    assert isinstance(listing, tuple)
    assert [(t.resource_id, t.external_id, t.is_repayment) for t in listing] == [
        (21, None, False),
        (22, "pay-1", True),
    ]


@pytest.mark.parametrize("rows", ["{}", "[7]", "[{}]"])
async def test_a_list_with_one_unreadable_entry_is_no_list(
    raw: RawServer, client: FineractClient, rows: str
) -> None:
    raw.plays(http(200, f'{{"externalId":"LN-1","status":{{"id":300}},"transactions":{rows}}}'))
    assert isinstance(await client.list_transactions("LN-1"), LookupFailed)


@pytest.mark.parametrize("loan", ["AM/2024/17", "LN%1", "LN;1"])
async def test_a_loan_id_that_the_server_takes_in_no_path_is_no_fault_of_the_system(
    raw: RawServer, client: FineractClient, loan: str
) -> None:
    page = http(400, "<html>HTTP Status 400</html>", "text/html")
    for ask in (client.get_loan, client.list_transactions):
        raw.plays(page)
        assert isinstance(await ask(loan), UnknownLoan)
    raw.plays(page)
    assert isinstance(await client.find_transaction(loan, "pay-1"), UnknownLoan)
