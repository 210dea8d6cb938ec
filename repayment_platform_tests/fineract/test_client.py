"""What leaves for Fineract: addresses, headers and bodies, as a real server receives them."""

import asyncio
import base64
import json
from datetime import date
from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from repayment_platform.fineract.client import FineractClient, repayment_body
from repayment_platform.fineract.contract import InvalidRequestError, Repayment
from repayment_platform_tests.fineract.conftest import make_client
from repayment_platform_tests.fineract.raw_server import RawServer, http
from repayment_platform_tests.fineract.values import KEY, PASSWORD, REPAYMENT, SUCCESS

DAY = date(2026, 11, 20)
PATH = "/fineract-provider/api/v1/loans/external-id/"
IDS = (
    st.text(
        st.characters(exclude_categories=("C", "Z"), include_characters=" "),
        min_size=1,
        max_size=100,
    )
    .filter(lambda text: text == text.strip() and text.isprintable())
    .filter(lambda text: text not in (".", ".."))
)
RUPEES = st.decimals(min_value=Decimal("0.01"), max_value=Decimal("9999999999999.99"), places=2)


@pytest.mark.anyio
async def test_a_repayment_goes_to_its_loan_with_tenant_user_and_key(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(http(200, json.dumps(SUCCESS)))
    await client.post_repayment(REPAYMENT, KEY)
    (received,) = raw.received
    assert received.target == f"{PATH}LN-1/transactions?command=repayment"
    assert received.headers["fineract-platform-tenantid"] == "default"
    assert received.headers["idempotency-key"] == KEY
    assert received.headers["content-type"] == "application/json"
    assert received.headers["accept-encoding"] == "identity"
    token = base64.b64decode(received.headers["authorization"].removeprefix("Basic ")).decode()
    assert token == f"mifos:{PASSWORD.get_secret_value()}"


@pytest.mark.anyio
async def test_a_repayment_holds_only_what_fineract_allows(
    raw: RawServer, client: FineractClient
) -> None:
    raw.plays(http(200, json.dumps(SUCCESS)))
    await client.post_repayment(REPAYMENT, KEY)
    assert json.loads(raw.received[0].body, parse_float=str) == {
        "dateFormat": "yyyy-MM-dd",
        "locale": "en",
        "transactionDate": "2026-11-20",
        "transactionAmount": "125.50",
        "externalId": "pay-1",
    }


@given(RUPEES)
def test_every_amount_is_written_exactly_and_with_two_decimals(amount: Decimal) -> None:
    body = repayment_body(Repayment("LN-1", "pay-1", DAY, amount))
    written = json.loads(body, parse_float=str)["transactionAmount"]
    assert Decimal(written) == amount
    assert written.split(".")[1].isdigit()
    assert len(written.split(".")[1]) == 2


@pytest.mark.parametrize("amount", ["1E+3", "5", "0.1", "125.500000", "9007199254740.99"])
def test_the_spelling_of_a_decimal_does_not_matter(amount: str) -> None:
    body = repayment_body(Repayment("LN-1", "pay-1", DAY, Decimal(amount)))
    assert f'"transactionAmount": {Decimal(amount):.2f}}}'.encode() in body
    assert Decimal(json.loads(body, parse_float=str)["transactionAmount"]) == Decimal(amount)


@given(IDS, IDS)
@example("A/B C;D", "../%2e?#&é")
@settings(max_examples=25, deadline=None)
def test_any_id_arrives_whole_and_never_changes_the_path(loan: str, external_id: str) -> None:
    async def send() -> list:
        async with RawServer() as raw, make_client(raw.base_url) as client:
            raw.plays(http(200, json.dumps(SUCCESS)))
            await client.post_repayment(Repayment(loan, external_id, DAY, Decimal(1)), KEY)
            await client.find_transaction(loan, external_id)
            await client.get_loan(loan)
            return raw.received

    posted, found, read = asyncio.run(send())
    path, _, query = posted.target.removeprefix(PATH).partition("?")
    assert query == "command=repayment"
    assert [unquote(part) for part in path.split("/")] == [loan, "transactions"]
    assert json.loads(posted.body)["externalId"] == external_id
    parts = [unquote(part) for part in found.target.removeprefix(PATH).split("/")]
    assert parts == [loan, "transactions", "external-id", external_id]
    assert unquote(read.target.removeprefix(PATH)) == loan


@pytest.mark.anyio
async def test_a_key_that_does_not_fit_is_refused_before_anything_is_sent(
    raw: RawServer, client: FineractClient
) -> None:
    with pytest.raises(InvalidRequestError):
        await client.post_repayment(REPAYMENT, "k" * 51)
    with pytest.raises(InvalidRequestError):
        await client.find_transaction("..", "pay-1")
    with pytest.raises(InvalidRequestError):
        await client.find_transaction("LN-1", "")
    assert raw.received == []


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "ftp://h/api",
        "h/api",
        "http://",
        "http://u:p@h/api",
        "https://h/api?x=1",
        "https://h/#a",
    ],
)
def test_an_address_that_is_no_plain_http_url_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        make_client(base_url)


@pytest.mark.parametrize("host", ["h", "10.0.0.7", "[fe80::1]", "localhost.example", "127.0.0.1.h"])
def test_http_is_for_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match="must be https://"):
        make_client(f"http://{host}/api")
    for here in ("localhost", "127.0.0.1", "127.9.9.9", "[::1]"):
        make_client(f"http://{here}/api")


@pytest.mark.parametrize("tenant", ["", "a b", "a\r\nX: y", "ä"])
def test_a_tenant_that_fits_in_no_header_is_refused(tenant: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        make_client("https://h/api", tenant=tenant)
