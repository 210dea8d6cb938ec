"""A sandbox process under test and the requests that tests send it."""

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from repayment_platform.fineract.trust import trusting

API = "/fineract-provider/api/v1"
BUSINESS_DATE = "2026-11-20"
_numbers = count(1)


class Server:
    def __init__(
        self, process: "subprocess.Popen[str]", root_url: str, ledger: Path, verify: ssl.SSLContext
    ) -> None:
        self.process = process
        self.root_url = root_url
        self.ledger = ledger
        self.verify = verify
        self.admin = httpx.Client(base_url=root_url, timeout=20, trust_env=False, verify=verify)
        self.api = self.client()

    def client(self, **options: Any) -> httpx.Client:
        defaults: dict[str, Any] = {
            "base_url": self.root_url + API,
            "auth": ("mifos", "password"),
            "headers": {"Fineract-Platform-TenantId": "default"},
            "timeout": 20,
            "trust_env": False,
            "verify": self.verify,
        }
        return httpx.Client(**defaults | options)

    def new_loan(self, **fields: Any) -> str:
        """A loan nobody else has; disbursed 2026-01-01, 1000.00 unless said otherwise."""
        loan = f"LN-{os.getpid()}-{next(_numbers)}"
        fields = {"disbursedOn": "2026-01-01", "principal": "1000.00"} | fields
        saved = self.admin.post("/sandbox/loans", json=[{"externalId": loan} | fields])
        assert saved.status_code == 200, saved.text
        return loan

    def repay(
        self,
        loan: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        **changed: Any,
    ) -> httpx.Response:
        return self.api.post(
            f"/loans/external-id/{loan}/transactions?command=repayment",
            json=repayment(**changed) if body is None else body,
            headers={} if key is None else {"Idempotency-Key": key},
        )

    def find(self, loan: str, external_id: str) -> httpx.Response:
        return self.api.get(f"/loans/external-id/{loan}/transactions/external-id/{external_id}")

    def loan(self, loan: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.api.get(
            f"/loans/external-id/{loan}?associations=transactions"
        ).json()
        return shown

    def repayments(self, loan: str) -> list[dict[str, Any]]:
        """As the loan shows them, without its disbursement."""
        return [row for row in self.loan(loan)["transactions"] if row["type"]["repayment"]]

    def ledger_of(self, loan: str) -> list[dict[str, Any]]:
        rows = self.admin.get("/sandbox/ledger").json()
        return [row for row in rows if row["loanExternalId"] == loan]

    def requests_of(self, loan: str) -> list[dict[str, Any]]:
        rows = self.admin.get("/sandbox/requests").json()
        return [row for row in rows if row["loan"] == loan]

    def faults(self, *rules: dict[str, Any], **plan: Any) -> None:
        installed = self.admin.post("/sandbox/faults", json={"rules": rules} | plan)
        assert installed.status_code == 200, installed.text

    def hits(self) -> list[int]:
        return [rule["hits"] for rule in self.admin.get("/sandbox/faults").json()["rules"]]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def repayment(**changed: Any) -> dict[str, Any]:
    """A valid body; a value of None leaves the field out."""
    body = {
        "dateFormat": "yyyy-MM-dd",
        "locale": "en",
        "transactionDate": "2026-11-19",
        "transactionAmount": 100.25,
        "externalId": f"pay-{os.getpid()}-{next(_numbers)}",
    } | changed
    return {name: value for name, value in body.items() if value is not None}


def code(response: httpx.Response) -> str:
    """The code of the first item of an error."""
    return str(response.json()["errors"][0]["userMessageGlobalisationCode"])


@contextmanager
def serving(ledger: Path, *options: str, ca: Path | None = None) -> Iterator[Server]:
    """A sandbox of a test's own; `ca` vouches for it where `options` give it a certificate."""
    arguments = ["--port", "0", "--ledger", str(ledger), "--business-date", BUSINESS_DATE]
    process = subprocess.Popen(
        [sys.executable, "-m", "repayment_platform.sandbox", *arguments, *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = process.stdout.readline()
    found = re.search(r"https?://[\d.]+:\d+", ready)
    assert found, f"no ready line: {ready!r}"
    # Certificates are for names.
    root_url = found.group().replace("https://127.0.0.1", "https://localhost")
    server = Server(process, root_url, ledger, trusting(ca))
    try:
        yield server
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
