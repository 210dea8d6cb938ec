"""Every delivery of the sample is signed as its provider would sign it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

from repayment_platform.sources.registry import SOURCES, Kind


def secrets(sample: Path) -> dict[str, list[bytes]]:
    lines = (sample / "secrets.env").read_text().splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name: [secret.encode() for secret in value.split(",")] for name, _, value in pairs}


def deliveries(sample: Path, kind: Kind) -> Iterator[tuple[dict[str, str], bytes, list[bytes]]]:
    for table, source in SOURCES.items():
        if source.kind is kind:
            known = secrets(sample)[f"{kind.value.upper()}_WEBHOOK_SECRETS_{source.lender}"]
            for path in sorted((sample / table).glob("*.headers.json")):
                body = path.with_name(path.name.replace(".headers", "")).read_bytes()
                yield json.loads(path.read_text()), body, known


def test_razorpays_signature_is_the_hex_hmac_of_the_body(sample: Path) -> None:
    used = set()
    for headers, body, known in deliveries(sample, Kind.RAZORPAY):
        signatures = [hmac.new(secret, body, hashlib.sha256).hexdigest() for secret in known]
        used.add(signatures.index(headers["X-Razorpay-Signature"]))
        assert headers["x-razorpay-event-id"]
    assert used == {0, 1}, "the old secret and the new one are both in use"


def test_cashfrees_signature_is_the_base64_hmac_of_time_and_body(sample: Path) -> None:
    versions = set()
    for headers, body, known in deliveries(sample, Kind.CASHFREE):
        signed = headers["x-webhook-timestamp"].encode() + body
        digest = hmac.new(known[0], signed, hashlib.sha256).digest()
        assert base64.b64encode(digest).decode() == headers["x-webhook-signature"]
        versions.add((headers["x-webhook-version"], "x-idempotency-key" in headers))
    assert versions == {("2025-01-01", True), ("2022-09-01", False)}


def test_cashfrees_signature_breaks_when_a_body_is_written_again(sample: Path) -> None:
    changed = [
        json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode() != body
        for _, body, _ in deliveries(sample, Kind.CASHFREE)
    ]
    assert any(changed)


def test_a_repeated_delivery_has_the_same_bytes_and_event_id(sample: Path) -> None:
    for kind, id_header in (
        (Kind.RAZORPAY, "x-razorpay-event-id"),
        (Kind.CASHFREE, "x-idempotency-key"),
    ):
        bodies: dict[str, bytes] = {}
        repeated = 0
        for headers, body, _ in deliveries(sample, kind):
            if id_header in headers:
                repeated += headers[id_header] in bodies
                assert bodies.setdefault(headers[id_header], body) == body
        assert repeated
