import asyncio
import hashlib
import json
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.landing.webhook_writer import connect
from repayment_platform.landing.webhooks import Delivery, FaultCode, land, read_delivery
from repayment_platform.sources.registry import Kind
from repayment_platform.warehouse.urls import DatabaseUrls

TABLE = "RAW_GB_CASHFREE_API"
Rows = list[tuple[Any, ...]]


def razorpay(body: bytes, event_id: str = "evt_1") -> Delivery:
    headers = {"x-razorpay-event-id": event_id}
    return read_delivery(Kind.RAZORPAY, headers, body, signed_by=1)


def land_all(urls: DatabaseUrls, *deliveries: Delivery) -> list[bool]:
    async def run() -> list[bool]:
        async with await connect(urls.psycopg) as connection:
            return await land(connection, TABLE, deliveries)

    return asyncio.run(run())


def landed(connection: psycopg.Connection[Any], columns: str = "event_id, body") -> Rows:
    query = f'SELECT {columns} FROM "RAW"."{TABLE}" ORDER BY id'
    return connection.execute(query).fetchall()


def quarantined(connection: psycopg.Connection[Any]) -> Rows:
    return connection.execute(
        'SELECT raw_table, event_id, reason_code, original FROM "CORE"."CORE_QUARANTINE"'
        " ORDER BY id"
    ).fetchall()


def test_the_providers_id_and_type_of_the_event_are_taken() -> None:
    delivery = razorpay(b'{"event": "payment.captured"}', "evt_9")
    assert (delivery.event_id, delivery.event_type) == ("evt_9", "payment.captured")
    headers = {"x-idempotency-key": "idem_1"}
    delivery = read_delivery(Kind.CASHFREE, headers, b'{"type": "NEW_KIND"}', signed_by=2)
    assert (delivery.event_id, delivery.event_type) == ("idem_1", "NEW_KIND")
    assert delivery.signed_by == 2


@given(first=st.binary(max_size=50), second=st.binary(max_size=50))
def test_without_an_id_equal_bodies_are_one_event_and_others_are_not(
    first: bytes, second: bytes
) -> None:
    one, two = (read_delivery(Kind.CASHFREE, {}, b, signed_by=1) for b in (first, second))
    assert (one.event_id == two.event_id) == (first == second)


def test_an_id_too_long_for_an_index_is_replaced_by_the_hash_of_the_body() -> None:
    event_id = razorpay(b"{}", "e" * 5000).event_id
    assert event_id == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


@pytest.mark.parametrize("event_type", ["a\x00b", "\ud800", "x" * 201, 7, None, ["a"], {}])
def test_a_type_that_is_no_plain_name_is_left_out(event_type: object) -> None:
    delivery = razorpay(json.dumps({"event": event_type}).encode())
    assert (delivery.event_type, delivery.fault) == (None, None)


def test_only_the_listed_headers_are_kept() -> None:
    headers = {
        "x-razorpay-event-id": "evt_1",
        "x-webhook-attempt": "2",
        "authorization": "Bearer secret",
        "cookie": "session=1",
        "x-forwarded-for": "203.0.113.9",
    }
    kept = read_delivery(Kind.RAZORPAY, headers, b"{}", signed_by=1).headers
    assert kept == {"x-razorpay-event-id": "evt_1", "x-webhook-attempt": "2"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", FaultCode.NOT_JSON),
        (b'{"event": ', FaultCode.NOT_JSON),
        (b"cf_event=SUBSCRIPTION_PAYMENT&cf_status=1", FaultCode.NOT_JSON),
        (b'{"amount": NaN}', FaultCode.NOT_JSON),
        (b'{"amount": -Infinity}', FaultCode.NOT_JSON),
        (b'{"a": "\x00"}', FaultCode.NOT_JSON),
        (b'{"name": "Jos\xe9"}', FaultCode.NOT_UTF8),
        (b"[]", FaultCode.NOT_AN_OBJECT),
        (b'"event"', FaultCode.NOT_AN_OBJECT),
        (b'{"amount": ' + b"9" * 5000 + b"}", FaultCode.UNSTORABLE_JSON),
        (b'{"a":' * 100_000, FaultCode.UNSTORABLE_JSON),
    ],
)
def test_a_body_that_is_no_json_object_is_named_as_such(body: bytes, code: FaultCode) -> None:
    fault = razorpay(body).fault
    assert fault is not None
    assert fault.code == code


@given(st.binary(max_size=200))
def test_any_bytes_make_a_delivery(body: bytes) -> None:
    assert razorpay(body).body == body


@pytest.mark.parametrize(
    "value",
    ['"a\\u0000b"', '"\\ud800"', "1e999999", "[" * 900 + "]" * 900, "1e-99999"],
    ids=["nul", "half a surrogate", "huge", "deep", "tiny"],
)
def test_json_postgresql_may_refuse_lands_and_its_neighbours_with_it(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any], value: str
) -> None:
    odd = b'{"event": "x", "odd": %s}' % value.encode()
    good = b'{"event": "x"}'
    assert land_all(
        database_urls, razorpay(good, "a"), razorpay(odd, "odd"), razorpay(good, "b")
    ) == [True, True, True]
    assert landed(connection) == [("a", good), ("odd", odd), ("b", good)]
    without_payload = {e for e, p in landed(connection, "event_id, payload") if p is None}
    assert without_payload == {row[1] for row in quarantined(connection)} <= {"odd"}


def test_nul_is_quarantined_with_its_text_and_half_a_surrogate_too(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    nul, half = b'{"n": "\\u0000"}', b'{"n": "\\ud800"}'
    land_all(database_urls, razorpay(nul, "nul"), razorpay(half, "half"))
    assert quarantined(connection) == [
        (TABLE, "nul", "UNSTORABLE_JSON", nul.decode()),
        (TABLE, "half", "UNSTORABLE_JSON", half.decode()),
    ]


def test_raw_bytes_survive_and_their_text_is_shown_in_quarantine(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    body = b"\x00\xff\xfeform=1"
    land_all(database_urls, razorpay(body))
    assert landed(connection, "body, payload, event_type") == [(body, None, None)]
    [[_, _, code, original]] = quarantined(connection)
    assert (code, original) == ("NOT_UTF8", "\\x00\\xff\\xfeform=1")


def test_a_repeat_lands_nothing_and_is_not_quarantined_again(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    broken = razorpay(b"{", "evt_1")
    assert land_all(database_urls, broken, broken) == [True, False]
    assert land_all(database_urls, broken) == [False]
    assert len(landed(connection)) == len(quarantined(connection)) == 1


def test_another_body_under_a_known_id_lands_under_an_id_of_its_own(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    first, other = razorpay(b'{"n": 1}'), razorpay(b'{"n": 2}')
    assert land_all(database_urls, first, other, other) == [True, True, False]
    assert land_all(database_urls, other, first) == [False, False]
    digest = hashlib.sha256(other.body).hexdigest()
    assert landed(connection) == [("evt_1", first.body), (f"evt_1#{digest}", other.body)]


def test_another_body_that_is_broken_is_quarantined_under_the_id_it_landed_with(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    land_all(database_urls, razorpay(b"{}"), razorpay(b"{"))
    [_, [landed_id, _]] = landed(connection)
    [[_, quarantined_id, _, _]] = quarantined(connection)
    assert landed_id == quarantined_id != "evt_1"


def test_amounts_keep_their_digits_in_the_payload(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    land_all(database_urls, razorpay(b'{"a": 170.00, "b": 99999999999999999.99}'))
    [[payload]] = landed(connection, "payload::text")
    assert payload == '{"a": 170.00, "b": 99999999999999999.99}'
