import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from repayment_platform.sources.registry import Kind
from repayment_platform.sources.signatures import CLOCK_SKEW, BadSignature, signed_by

SAMPLES = Path(__file__).parent.parent / "samples" / "webhooks"
SIGNED = json.loads((SAMPLES / "signatures.json").read_text())
SAMPLE_TIME = datetime(2025, 11, 21, tzinfo=UTC)
WEEK = timedelta(days=7)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def kind_of(name: str) -> Kind:
    return Kind(name.split("_")[0])


def check(
    kind: Kind, headers: dict[str, str], body: bytes, *secrets: str, now=NOW, age=WEEK
) -> int:
    lower = {name.lower(): value for name, value in headers.items()}
    return signed_by(kind, lower, body, [SecretStr(s) for s in secrets], now=now, max_age=age)


def cashfree(body: bytes, sent: datetime, *, dot: bytes = b"") -> dict[str, str]:
    timestamp = str(int(sent.timestamp() * 1000))
    digest = hmac.new(b"secret", timestamp.encode() + dot + body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    return {"x-webhook-timestamp": timestamp, "x-webhook-signature": signature}


def razorpay(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-razorpay-signature": digest}


@pytest.mark.parametrize("name", SIGNED)
def test_the_signature_of_every_sample_is_right(name: str) -> None:
    headers = SIGNED[name]
    body = (SAMPLES / name).read_bytes()
    assert check(kind_of(name), headers, body, headers["secret"], now=SAMPLE_TIME) == 1


@pytest.mark.parametrize("name", SIGNED)
def test_a_body_written_again_no_longer_has_its_signature(name: str) -> None:
    headers = SIGNED[name]
    again = json.dumps(json.loads((SAMPLES / name).read_bytes())).encode()
    with pytest.raises(BadSignature):
        check(kind_of(name), headers, again, headers["secret"], now=SAMPLE_TIME)


def test_an_amount_of_170_00_must_not_become_170() -> None:
    body = b'{"data":{"payment":{"payment_amount":170.00}}}'
    headers = cashfree(body, NOW)
    assert check(Kind.CASHFREE, headers, body, "secret") == 1
    with pytest.raises(BadSignature):
        check(Kind.CASHFREE, headers, body.replace(b"170.00", b"170"), "secret")


def test_a_dot_between_timestamp_and_body_is_refused() -> None:
    body = b"{}"
    with pytest.raises(BadSignature):
        check(Kind.CASHFREE, cashfree(body, NOW, dot=b"."), body, "secret")


@given(body=st.binary(max_size=200), flipped=st.integers(min_value=0))
def test_any_changed_bit_of_the_body_is_refused(body: bytes, flipped: int) -> None:
    headers = razorpay(body + b"x", "secret")
    changed = bytearray(body + b"x")
    changed[flipped % len(changed)] ^= 1
    assert check(Kind.RAZORPAY, headers, body + b"x", "secret") == 1
    with pytest.raises(BadSignature):
        check(Kind.RAZORPAY, headers, bytes(changed), "secret")


@pytest.mark.parametrize(("used", "position"), [("newest", 1), ("older", 2), ("oldest", 3)])
def test_each_active_secret_is_accepted_and_named(used: str, position: int) -> None:
    active = ("newest", "older", "oldest")
    assert check(Kind.RAZORPAY, razorpay(b"{}", used), b"{}", *active) == position


def test_a_retired_secret_is_refused() -> None:
    with pytest.raises(BadSignature, match="no active secret"):
        check(Kind.RAZORPAY, razorpay(b"{}", "retired"), b"{}", "newest", "older")


def test_without_any_secret_everything_is_refused() -> None:
    with pytest.raises(BadSignature):
        check(Kind.RAZORPAY, razorpay(b"{}", ""), b"{}")


@pytest.mark.parametrize("missing", ["x-webhook-timestamp", "x-webhook-signature"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_or_empty_header_is_refused(missing: str, empty: bool) -> None:
    headers = cashfree(b"{}", NOW)
    del headers[missing]
    with pytest.raises(BadSignature, match=missing):
        check(Kind.CASHFREE, headers | ({missing: ""} if empty else {}), b"{}", "secret")
    with pytest.raises(BadSignature, match="x-razorpay-signature"):
        check(Kind.RAZORPAY, {}, b"{}", "secret")


@pytest.mark.parametrize("signature", ["é" * 64, "\xff", "0" * 64, " "])
def test_a_signature_of_any_characters_is_refused_quietly(signature: str) -> None:
    with pytest.raises(BadSignature):
        check(Kind.RAZORPAY, {"x-razorpay-signature": signature}, b"{}", "secret")


@pytest.mark.parametrize(
    ("sent", "accepted"),
    [
        (NOW - WEEK, True),
        (NOW - WEEK - timedelta(milliseconds=1), False),
        (NOW + CLOCK_SKEW, True),
        (NOW + CLOCK_SKEW + timedelta(milliseconds=1), False),
    ],
)
def test_cashfree_deliveries_are_taken_within_their_window(sent: datetime, accepted: bool) -> None:
    headers = cashfree(b"{}", sent)
    if accepted:
        assert check(Kind.CASHFREE, headers, b"{}", "secret") == 1
    else:
        with pytest.raises(BadSignature, match="more than"):
            check(Kind.CASHFREE, headers, b"{}", "secret")


@pytest.mark.parametrize("timestamp", ["soon", "9" * 30, "-" + "9" * 30, "1.5e3", "٣"])
def test_a_signed_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    signed = timestamp.encode("utf-8")
    digest = hmac.new(b"secret", signed + b"{}", hashlib.sha256).digest()
    headers = {
        "x-webhook-timestamp": signed.decode("latin-1"),
        "x-webhook-signature": base64.b64encode(digest).decode(),
    }
    with pytest.raises(BadSignature):
        check(Kind.CASHFREE, headers, b"{}", "secret")
