"""Whether a webhook was signed by its provider.

What belongs here: how Razorpay and Cashfree sign the bytes of a delivery, and the check of
it. What does not: which secrets are active (settings), what the body says, HTTP.

Both sign the body exactly as sent: a body parsed and written again (`170.00` becoming `170`)
no longer has its signature, so callers pass the raw bytes.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from .registry import Kind

CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of our clock a delivery's own time may be."""


class BadSignature(Exception):
    """The delivery does not prove that it comes from the provider; the message says why.

    The message names no secret, no signature and nothing of the body.
    """


def razorpay_signature(secret: SecretStr, body: bytes) -> bytes:
    """Razorpay's `X-Razorpay-Signature`: HMAC-SHA256 of the body, in lower-case hex."""
    return _hmac(secret, body).hex().encode()


def cashfree_signature(secret: SecretStr, timestamp: str, body: bytes) -> bytes:
    """Cashfree's `x-webhook-signature`: HMAC-SHA256 of timestamp and body, in base64.

    Nothing stands between the two: the dot in Cashfree's examples is PHP's concatenation.
    `timestamp` is `x-webhook-timestamp` as sent, milliseconds since 1970.
    """
    return b64encode(_hmac(secret, timestamp.encode("latin-1") + body))


def signed_by(
    kind: Kind,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[SecretStr],
    *,
    now: datetime,
    max_age: timedelta,
) -> int:
    """Which of `secrets` signed the delivery: 1 for the first, the newest.

    Several secrets are active while one is being replaced, because a provider signs the
    retries of older events with the secret of their time. Only Cashfree signs a time; its
    deliveries must not be older than `max_age` nor more than `CLOCK_SKEW` ahead of `now`.

    Args:
        headers: by lower-case name, or without regard to case.
        now: with a timezone.

    Raises:
        BadSignature: a header is missing, no secret matches, or the delivery is not of now.
    """
    if kind is Kind.CASHFREE:
        timestamp = _header(headers, "x-webhook-timestamp")
        expected = [cashfree_signature(secret, timestamp, body) for secret in secrets]
        position = _match(_header(headers, "x-webhook-signature"), expected)
        _check_time(timestamp, now, max_age)
        return position
    expected = [razorpay_signature(secret, body) for secret in secrets]
    return _match(_header(headers, "x-razorpay-signature"), expected)


def _hmac(secret: SecretStr, message: bytes) -> bytes:
    return hmac.digest(secret.get_secret_value().encode(), message, "sha256")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise BadSignature(f"no {name} header")
    return value


def _match(presented: str, expected: Sequence[bytes]) -> int:
    for position, signature in enumerate(expected, start=1):
        if hmac.compare_digest(presented.encode("latin-1"), signature):
            return position
    raise BadSignature("the signature matches no active secret")


def _check_time(timestamp: str, now: datetime, max_age: timedelta) -> None:
    """Called once the signature is known to be right, so an attacker learns nothing of it."""
    try:
        sent = datetime.fromtimestamp(int(timestamp) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadSignature("x-webhook-timestamp is not a time in milliseconds") from None
    if sent < now - max_age:
        raise BadSignature(f"sent {now - sent} ago, more than {max_age}")
    if sent > now + CLOCK_SKEW:
        raise BadSignature(f"sent {sent - now} ahead of this clock, more than {CLOCK_SKEW}")
