"""A running receiver, and what a provider sends to it.

Signatures are made here from the providers' rules alone, without the code under test.
"""

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from repayment_platform_tests.ports import free_port

SAMPLES = Path(__file__).parent.parent / "samples" / "webhooks"
SIGNED = json.loads((SAMPLES / "signatures.json").read_text())
RAZORPAY_SECRET = "demo_rzp_webhook_secret"
CASHFREE_SECRET = "demo_cf_client_secret"
SECRETS = {
    "RAZORPAY_WEBHOOK_SECRETS_UGRO": RAZORPAY_SECRET,
    "RAZORPAY_WEBHOOK_SECRETS_VIVRITI": RAZORPAY_SECRET,
    "CASHFREE_WEBHOOK_SECRETS_UGRO": CASHFREE_SECRET,
    "CASHFREE_WEBHOOK_SECRETS_GB": CASHFREE_SECRET,
}
ANY_AGE = {"WEBHOOK_MAX_AGE_HOURS": "1000000"}
CLIENT = httpx.Client(trust_env=False, timeout=60)
SERVE = """
from repayment_platform.commands.receiver import serve
from repayment_platform.settings import load_settings
serve(load_settings())
"""


@dataclass(frozen=True)
class Receiver:
    """A receiver process."""

    port: int
    process: "subprocess.Popen[bytes]"
    log_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return CLIENT.post(f"{self.url}/webhooks/{path}", content=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return CLIENT.get(self.url + path)

    def razorpay(self, body: bytes, event_id: str, lender: str = "ugro") -> httpx.Response:
        return self.post(f"razorpay/{lender}", body, razorpay_headers(body, event_id))

    def open_socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


def start(database_url: str, folder: Path, port: int, **environment: str) -> Receiver:
    """Start a receiver on a port, 0 for any free one, and wait until it answers."""
    port = port or free_port()
    log_file = folder / f"receiver-{time.time_ns()}.log"
    settings = {
        "DATABASE_URL": database_url,
        "FINERACT_BASE_URL": "sandbox",
        "REPAYMENT_HOME": str(folder / "home"),
        "WEBHOOK_PORT": str(port),
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            (sys.executable, "-c", SERVE),
            env={**os.environ, **SECRETS, **settings, **environment},
            stderr=log,
        )
    receiver = Receiver(port, process, log_file)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            receiver.get("/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return receiver
    raise AssertionError(f"the receiver did not start: {receiver.log}")


def razorpay_headers(
    body: bytes, event_id: str | None, secret: str = RAZORPAY_SECRET
) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    event = {"x-razorpay-event-id": event_id} if event_id else {}
    return {"X-Razorpay-Signature": signature, "Content-Type": "application/json", **event}


def cashfree_headers(
    body: bytes,
    *,
    age_seconds: float = 0,
    secret: str = CASHFREE_SECRET,
    key: str | None = None,
    between: str = "",
) -> dict[str, str]:
    timestamp = str(int((time.time() - age_seconds) * 1000))
    message = f"{timestamp}{between}".encode() + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    idempotency = {"x-idempotency-key": key} if key else {}
    return {
        "x-webhook-signature": base64.b64encode(digest).decode(),
        "x-webhook-timestamp": timestamp,
        "x-webhook-version": "2025-01-01",
        **idempotency,
    }


def payment(number: int, **changes: Any) -> bytes:
    """The body of a small Razorpay event."""
    entity = {"id": f"pay_{number}", "amount": 125050, "status": "captured", **changes}
    event = {"event": "payment.captured", "payload": {"payment": {"entity": entity}}}
    return json.dumps(event).encode()
