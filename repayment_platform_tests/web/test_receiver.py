import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from repayment_platform_tests.web.conftest import StartReceiver
from repayment_platform_tests.web.receiving import (
    ANY_AGE,
    SAMPLES,
    SIGNED,
    Receiver,
    cashfree_headers,
    payment,
    razorpay_headers,
)

UGRO_RAZORPAY = "RAW_UGRO_RAZORPAY_API"
GB_CASHFREE = "RAW_GB_CASHFREE_API"
PING = b'{"data":{"test_object":{"test_key":"test_value"}}}'


def rows(connection: psycopg.Connection[Any], table: str, columns: str) -> list[tuple[Any, ...]]:
    return connection.execute(f'SELECT {columns} FROM "RAW"."{table}" ORDER BY id').fetchall()


def everything_landed(connection: psycopg.Connection[Any]) -> int:
    tables = connection.execute(
        """SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
           WHERE schemaname = 'RAW' AND tablename LIKE '%API'"""
    ).fetchall()
    counts = [connection.execute(f"SELECT count(*) FROM {t}").fetchone() for [t] in tables]
    return sum(count for [count] in counts) + len(
        connection.execute('SELECT FROM "CORE"."CORE_QUARANTINE"').fetchall()
    )


def test_every_sample_lands_as_sent_and_once_however_often_it_comes(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    receiver = start_receiver(**ANY_AGE)
    expected: dict[str, list[tuple[Any, ...]]] = {UGRO_RAZORPAY: [], GB_CASHFREE: []}
    for name in SIGNED:
        body = (SAMPLES / name).read_bytes()
        headers = {key: value for key, value in SIGNED[name].items() if key != "secret"}
        is_razorpay = name.startswith("razorpay")
        path = "razorpay/ugro" if is_razorpay else "cashfree/GB"
        event_id = headers["x-razorpay-event-id" if is_razorpay else "x-idempotency-key"]
        event_type = json.loads(body)["event" if is_razorpay else "type"]
        for attempt in ("1", "2", "3"):
            answer = receiver.post(path, body, headers | {"x-webhook-attempt": attempt})
            assert (answer.status_code, answer.content) == (200, b"")
        expected[UGRO_RAZORPAY if is_razorpay else GB_CASHFREE].append(
            (event_id, event_type, body, json.loads(body), 1, None)
        )
    columns = "event_id, event_type, body, payload, signed_by, replaces_id"
    for table in expected:
        assert rows(connection, table, columns) == expected[table]


def test_the_newest_and_an_older_secret_are_accepted_and_a_retired_one_is_not(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    receiver = start_receiver(RAZORPAY_WEBHOOK_SECRETS_UGRO="new, old")
    for number, (secret, status) in enumerate((("new", 200), ("old", 200), ("retired", 401))):
        body = payment(number)
        headers = razorpay_headers(body, f"evt_{number}", secret)
        assert receiver.post("razorpay/ugro", body, headers).status_code == status
    assert rows(connection, UGRO_RAZORPAY, "signed_by") == [(1,), (2,)]


def test_a_delivery_of_another_lender_or_provider_is_not_its_own(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    receiver = start_receiver(RAZORPAY_WEBHOOK_SECRETS_VIVRITI="another")
    body = payment(1)
    headers = razorpay_headers(body, "evt_1")
    for path in ("razorpay/vivriti", "cashfree/ugro"):
        assert receiver.post(path, body, headers).status_code == 401
    assert everything_landed(connection) == 0


def test_an_unknown_provider_or_lender_is_404(receiver: Receiver) -> None:
    body = payment(1)
    headers = razorpay_headers(body, "evt_1")
    unknown = (
        "razorpay/gb",
        "stripe/ugro",
        "razorpay/nobody",
        "file/dmi",
        "razorpay/ugro/",
        "",
        "a",
    )
    assert {receiver.post(path, body, headers).status_code for path in unknown} == {404}


def test_what_is_refused_lands_nothing_and_is_quoted_nowhere(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    body = payment(1, contact="+919999900000", email="someone@example.invalid")
    signature = {"X-Razorpay-Signature": "0" * 64}
    old = cashfree_headers(body, age_seconds=26 * 3600)
    ahead = cashfree_headers(body, age_seconds=-600)
    dotted = cashfree_headers(body, between=".")
    attempts = [("razorpay/ugro", signature), ("razorpay/ugro", {})]
    attempts += [("cashfree/gb", headers) for headers in (old, ahead, dotted, {})]
    for path, headers in attempts:
        answer = receiver.post(path, body, headers)
        assert (answer.status_code, answer.text) == (401, "signature refused")
    assert everything_landed(connection) == 0
    assert "a delivery was refused: the signature matches no active secret" in receiver.log
    for personal in ("99999", "someone", "pay_1", "0" * 64, "demo_"):
        assert personal not in receiver.log


def test_no_log_line_quotes_a_delivery_that_landed(receiver: Receiver) -> None:
    receiver.razorpay(payment(1, contact="+919999900000"), "evt_personal")
    receiver.razorpay(b'{"contact": "+919999900000", \xff}', "evt_personal")
    receiver.razorpay(b'{"contact": "+919999900000 \\u0000"}', "evt_nul")
    assert "is in quarantine" in receiver.log
    assert "99999" not in receiver.log
    assert "evt_personal" not in receiver.log


def test_cashfree_attempts_without_a_key_are_one_event_and_other_events_stay_apart(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    first = b'{"type":"PAYMENT_SUCCESS_WEBHOOK","data":{"payment":{"payment_amount":170.00}}}'
    second = first.replace(b"170.00", b"170.0")
    for body in (first, second, first):
        for age in (600, 120, 0):
            headers = cashfree_headers(body, age_seconds=age)
            assert receiver.post("cashfree/gb", body, headers).status_code == 200
    assert rows(connection, GB_CASHFREE, "body") == [(first,), (second,)]


def test_the_dashboards_ping_is_answered_and_lands_without_a_type(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    for _ in range(2):
        assert receiver.post("cashfree/gb", PING, cashfree_headers(PING)).status_code == 200
    assert rows(connection, GB_CASHFREE, "event_type, body") == [(None, PING)]


def test_an_unknown_type_lands(receiver: Receiver, connection: psycopg.Connection[Any]) -> None:
    assert receiver.razorpay(b'{"event": "moon.landed"}', "evt_1").status_code == 200
    assert rows(connection, UGRO_RAZORPAY, "event_type") == [("moon.landed",)]


def test_a_signed_body_that_is_no_json_lands_in_quarantine(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    bodies = (b"{", b"cf_event=X&signature=%2B", b"\xff\x00\xfe", b'{"a":"\\u0000"}', b"")
    for number, body in enumerate(bodies):
        assert receiver.razorpay(body, f"evt_{number}").status_code == 200
    assert rows(connection, UGRO_RAZORPAY, "body, payload") == [(body, None) for body in bodies]
    assert connection.execute(
        'SELECT raw_table, event_id FROM "CORE"."CORE_QUARANTINE" ORDER BY id'
    ).fetchall() == [(UGRO_RAZORPAY, f"evt_{number}") for number in range(len(bodies))]


def test_only_listed_headers_are_stored(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    body = payment(1)
    extra = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Forwarded-For": "203.0.113.9"}
    receiver.post("razorpay/ugro", body, razorpay_headers(body, "evt_1") | extra)
    [[stored]] = rows(connection, UGRO_RAZORPAY, "headers")
    assert set(stored) == {
        "content-type", "user-agent", "x-razorpay-event-id", "x-razorpay-signature",
    }  # fmt: skip


def test_concurrent_repeats_at_two_receivers_land_once(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    receivers = (start_receiver(), start_receiver())

    def deliver(number: int) -> int:
        return (
            receivers[number % 2].razorpay(payment(number // 20), f"evt_{number // 20}").status_code
        )

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(deliver, range(200))) == {200}
    landed = rows(connection, UGRO_RAZORPAY, "event_id")
    assert sorted(landed) == [(f"evt_{number}",) for number in range(10)]


@pytest.mark.parametrize("secrets", ["", " , "])
def test_without_a_secret_deliveries_are_refused_and_the_log_names_the_variable(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any], secrets: str
) -> None:
    receiver = start_receiver(RAZORPAY_WEBHOOK_SECRETS_UGRO=secrets)
    body = payment(1)
    for secret in ("", "demo_rzp_webhook_secret"):
        answer = receiver.post("razorpay/ugro", body, razorpay_headers(body, "evt_1", secret))
        assert answer.status_code == 503
    assert "refused, RAZORPAY_WEBHOOK_SECRETS_UGRO is not set" in receiver.log
    assert everything_landed(connection) == 0


def test_other_methods_are_405_and_redirect_nowhere(receiver: Receiver) -> None:
    answer = receiver.get("/webhooks/razorpay/ugro")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_receiver_says_that_it_lives_and_that_it_is_ready(receiver: Receiver) -> None:
    assert (receiver.get("/healthz").status_code, receiver.get("/readyz").text) == (200, "ready")


def test_an_address_over_its_rate_is_429_and_served_again_later(
    start_receiver: StartReceiver, connection: psycopg.Connection[Any]
) -> None:
    receiver = start_receiver(WEBHOOK_RATE_PER_SECOND="5", FORWARDED_ALLOW_IPS="127.0.0.1")

    def send(number: int, address: str) -> int:
        body = payment(number)
        headers = razorpay_headers(body, f"evt_{number}") | {"X-Forwarded-For": address}
        return receiver.post("razorpay/ugro", body, headers).status_code

    flood = [send(number, "203.0.113.1") for number in range(20)]
    assert flood[:5] == [200] * 5
    assert 429 in flood
    assert send(100, "203.0.113.2") == 200
    answers = [send(200 + number, "203.0.113.1") for number in range(2)]
    landed = len(rows(connection, UGRO_RAZORPAY, "id"))
    assert landed == [*flood, 200, *answers].count(200)


def test_each_of_many_that_are_sent_at_once_is_answered_and_lands(
    receiver: Receiver, connection: psycopg.Connection[Any]
) -> None:
    def send(number: int) -> int:
        return receiver.razorpay(payment(number), f"evt_{number}").status_code

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(send, range(600))) == {200}
    assert len(rows(connection, UGRO_RAZORPAY, "id")) == 600
