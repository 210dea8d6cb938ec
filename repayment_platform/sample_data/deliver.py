"""Delivering the sample's webhooks to a receiver over HTTP, as the gateways would.

What belongs here: reading the bodies of a sample folder, renewing what must be of now, sending.
What does not: making them (`folder`), receiving them (`web.receiver`).
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx

from repayment_platform.sample_data.folder import SECRETS
from repayment_platform.sample_data.signing import Secrets, read_secrets, setting_of, sign
from repayment_platform.sources.registry import SOURCES, Kind, Source

Counts = Counter[tuple[str, int]]
"""Deliveries by RAW table and the last HTTP status they were answered with."""

_COME_AGAIN = (429, 503)
_TRIES = 60
_HEADERS = ".headers.json"


class Webhook(NamedTuple):
    """One delivery in the folder."""

    source: Source
    headers: dict[str, str]
    body: bytes


def webhooks(root: Path) -> Iterator[Webhook]:
    """All deliveries below `root`, those of one source in the order of their names."""
    for source in SOURCES.values():
        if source.kind is Kind.FILE:
            continue
        for path in sorted((root / source.table).glob(f"*{_HEADERS}")):
            body = path.with_name(path.name.replace(_HEADERS, ".json"))
            yield Webhook(source, json.loads(path.read_bytes()), body.read_bytes())


def deliver(
    root: Path,
    receiver_url: str,
    concurrency: int = 8,
    progress: Callable[[], object] = lambda: None,
) -> Counts:
    """Send every webhook below `root` to `<receiver_url>/webhooks/<provider>/<lender>`.

    They leave in the order of `webhooks`, `concurrency` at a time; one that is told to come
    again (429, 503) does so, as a gateway would. Cashfree's are signed anew with the time of
    sending, because receivers refuse old ones; Razorpay signs no time, so those go as they are.
    `progress` is called after each delivery, from the sending threads.

    Raises:
        httpx.TransportError: the receiver cannot be reached, or broke off.
    """
    secrets = read_secrets(root / SECRETS)
    waiting, taking = webhooks(root), threading.Lock()

    def worker() -> Counts:
        counts: Counts = Counter()
        with httpx.Client(base_url=receiver_url, timeout=30) as client:
            while True:
                with taking:
                    webhook = next(waiting, None)
                if webhook is None:
                    return counts
                counts[webhook.source.table, _send(client, webhook, secrets)] += 1
                progress()

    with ThreadPoolExecutor(concurrency) as pool:
        running = [pool.submit(worker) for _ in range(concurrency)]
        return sum((done.result() for done in running), Counter())


def send_once(client: httpx.Client, webhook: Webhook, secrets: Secrets) -> httpx.Response:
    """The receiver's answer, whatever it is.

    Raises:
        httpx.TransportError: there is none.
    """
    source, headers = webhook.source, webhook.headers
    if source.kind is Kind.CASHFREE:
        newest = secrets[setting_of(source.table)][0]
        now_ms = time.time_ns() // 1_000_000
        headers = headers | sign(source.kind, webhook.body, newest, now_ms)
    url = f"/webhooks/{source.kind.value}/{source.lender.lower()}"
    return client.post(url, content=webhook.body, headers=headers)


def _send(client: httpx.Client, webhook: Webhook, secrets: Secrets) -> int:
    for _ in range(_TRIES):
        response = send_once(client, webhook, secrets)
        if response.status_code not in _COME_AGAIN:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
    return response.status_code
