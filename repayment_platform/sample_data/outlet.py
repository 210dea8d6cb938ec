"""The way of a stream's payments to a running platform.

What belongs here: making loans in the sandbox, delivering webhooks over HTTP, dropping files into
the inboxes. What does not: what is sent (`stream`).
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from repayment_platform.sample_data.deliver import Webhook, send_once
from repayment_platform.sample_data.layouts import FORMS
from repayment_platform.sample_data.model import Event
from repayment_platform.sample_data.signing import Secrets, headers_of
from repayment_platform.sample_data.tables import PaymentFile
from repayment_platform.sources.registry import SOURCES

COME_AGAIN_SECONDS = 2.0
_COME_AGAIN = frozenset((429, 500, 502, 503, 504))


class Unsent(Exception):
    """Something was refused, or the stream was ended while the platform was away."""


@dataclass(frozen=True)
class Row:
    """A row of the file of a form for a period, which is dated `day`."""

    form: str
    period: int
    day: date
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class StoryParts:
    """What one story sends; `events` come with the number of their deliveries."""

    loans: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[Event, int]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


class Outlet:
    """Sends stories to one platform, patiently: as gateways do, it comes again until it is heard.

    `wait` sleeps for seconds and says whether the stream is to end.
    """

    def __init__(
        self,
        receiver: httpx.Client,
        sandbox: httpx.Client,
        inbox: Path,
        secrets: Secrets,
        wait: Callable[[float], bool],
    ) -> None:
        self.sent: Counter[str] = Counter(webhooks=0, files=0, rows=0)
        self._receiver = receiver
        self._sandbox = sandbox
        self._inbox = inbox
        self._secrets = secrets
        self._wait = wait
        self._files: dict[tuple[str, int], PaymentFile] = {}

    def send(self, parts: StoryParts) -> None:
        """Make the loans and deliver the webhooks; the rows wait for `drop_files`.

        Raises:
            Unsent: some of it has not been taken; no row was kept.
        """
        if parts.loans:
            self._until_taken(lambda: self._sandbox.post("/sandbox/loans", json=parts.loans))
        for event, copies in parts.events:
            for attempt in range(1, copies + 1):
                self._deliver(event, attempt)
        for row in parts.rows:
            self._add(row)

    def drop_files(self, number: int) -> None:
        """Put the files into the inboxes, whole; `number` sets their names apart."""
        for (form, _), file in self._files.items():
            file.close()
            name = f"{file.path.stem} {number:06d}{file.path.suffix}"
            file.path.replace(self._inbox / FORMS[form].table / name)
            self.sent["files"] += 1
        self._files.clear()

    def _deliver(self, event: Event, attempt: int) -> None:
        body = event.body.encode()
        now_ms = time.time_ns() // 1_000_000
        headers = headers_of(event, body, attempt, self._secrets, now_ms)
        webhook = Webhook(SOURCES[event.table], headers, body)
        self._until_taken(lambda: send_once(self._receiver, webhook, self._secrets))
        self.sent["webhooks"] += 1

    def _until_taken(self, send: Callable[[], httpx.Response]) -> None:
        while True:
            try:
                response = send()
            except httpx.TransportError as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                if response.is_success:
                    return
                trouble = f"{response.request.url} answered {response.status_code}"
                if response.status_code not in _COME_AGAIN:
                    raise Unsent(trouble)
            if self._wait(COME_AGAIN_SECONDS):
                raise Unsent(trouble)

    def _add(self, row: Row) -> None:
        file = self._files.get((row.form, row.period))
        if file is None:
            # Inside the inbox, so that moving it is one step; hidden, so that it is not taken yet.
            beside = self._inbox / ".sample" / row.form
            beside.mkdir(parents=True, exist_ok=True)
            file = PaymentFile(beside, FORMS[row.form], row.period, row.day)
            self._files[row.form, row.period] = file
        file.add(row.fields)
        self.sent["rows"] += 1
