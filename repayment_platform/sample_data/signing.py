"""Signing sample webhooks as Razorpay and Cashfree sign theirs, with secrets for the demo.

What belongs here: the demo's secrets and the signing side of both schemes, written apart from
the platform's check. What does not: the check (`sources.signatures`), delivering (`deliver`).
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from repayment_platform.sample_data.model import Event
from repayment_platform.sources.registry import SOURCES, Kind

Secrets = Mapping[str, tuple[str, ...]]
"""Name of the setting to its secrets, newest first."""


def setting_of(table: str) -> str:
    """The setting that holds the webhook secrets of the source that fills `table`."""
    source = SOURCES[table]
    return f"{source.kind.upper()}_WEBHOOK_SECRETS_{source.lender}"


def demo_secrets() -> Secrets:
    """A new and an old secret for each webhook source; worthless anywhere else."""
    tables = [table for table, source in SOURCES.items() if source.kind is not Kind.FILE]
    return {
        name: (f"demo-{name.lower()}-new", f"demo-{name.lower()}-old")
        for name in map(setting_of, tables)
    }


def write_secrets(path: Path) -> None:
    lines = [f"{name}={','.join(values)}\n" for name, values in demo_secrets().items()]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def read_secrets(path: Path) -> Secrets:
    """The secrets of a file that `write_secrets` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("=", 1) for line in lines)
    return {name: tuple(values.split(",")) for name, values in pairs}


def sign(kind: Kind, body: bytes, secret: str, timestamp_ms: int) -> dict[str, str]:
    """The headers that prove where a body comes from.

    Razorpay signs the body alone, so `timestamp_ms` (since 1970) is of no account there.
    Cashfree puts the time before the body, with nothing between them.
    """
    key = secret.encode()
    if kind is Kind.RAZORPAY:
        return {"X-Razorpay-Signature": hmac.new(key, body, "sha256").hexdigest()}
    digest = hmac.digest(key, str(timestamp_ms).encode() + body, "sha256")
    return {
        "x-webhook-signature": b64encode(digest).decode(),
        "x-webhook-timestamp": str(timestamp_ms),
    }


def headers_of(
    event: Event, body: bytes, attempt: int, secrets: Secrets, timestamp_ms: int
) -> dict[str, str]:
    """All headers of the `attempt`-th delivery, 1 = the first, of an event."""
    kind = SOURCES[event.table].kind
    known = secrets[setting_of(event.table)]
    headers = {"Content-Type": "application/json", **event.headers}
    if event.event_id:
        name = "x-razorpay-event-id" if kind is Kind.RAZORPAY else "x-idempotency-key"
        headers[name] = event.event_id
    if kind is Kind.CASHFREE:
        headers["x-webhook-attempt"] = str(attempt)
    return headers | sign(kind, body, known[min(event.secret, len(known) - 1)], timestamp_ms)
