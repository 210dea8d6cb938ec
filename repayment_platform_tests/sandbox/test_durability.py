"""What a kill or a restart must not lose: the ledger, the keys and the wire log."""

import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from repayment_platform_tests.sandbox.server import repayment, serving

pytestmark = pytest.mark.faults


def test_what_was_answered_200_survives_a_kill_in_the_middle_of_traffic(tmp_path: Path) -> None:
    ledger, numbers = tmp_path / "ledger.sqlite", count()
    answered: set[str] = set()
    with serving(ledger) as server:
        loans = [server.new_loan(principal="1000000") for _ in range(8)]
        enough = threading.Event()

        def post_until_the_end(loan: str) -> None:
            with server.client() as client:
                while True:
                    body = repayment(externalId=f"kill-{next(numbers)}", transactionAmount=1)
                    path = f"/loans/external-id/{loan}/transactions?command=repayment"
                    try:
                        answer = client.post(path, json=body)
                    except httpx.TransportError:
                        return
                    assert answer.status_code == 200
                    answered.add(body["externalId"])
                    if len(answered) > 200:
                        enough.set()

        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(post_until_the_end, loan) for loan in loans]
            assert enough.wait(30)
            server.kill()
            for future in running:
                future.result()
    with serving(ledger) as server:
        rows = server.admin.get("/sandbox/ledger").json()
        posted = [row["externalId"] for row in rows]
        assert len(posted) == len(set(posted))
        assert answered <= set(posted)
        log = server.admin.get("/sandbox/requests").json()
        assert {row["externalId"] for row in log if row["applied"]} == set(posted)
        assert {row["externalId"] for row in log if row["status"] == 200} >= answered
        owed = sum(server.loan(loan)["summary"]["totalOutstanding"] for loan in loans)
        assert owed == 8_000_000 - len(posted)


@pytest.mark.parametrize(("when", "posted"), [("before_work", 0), ("after_commit", 1)])
def test_a_crash_between_two_commits_leaves_the_key_stuck(
    tmp_path: Path, when: str, posted: int
) -> None:
    ledger, body = tmp_path / "ledger.sqlite", repayment()
    with serving(ledger) as server:
        loan = server.new_loan()
        server.faults({"kind": "crash", "when": when})
        with pytest.raises(httpx.TransportError):
            server.repay(loan, body, key="crashed")
        assert server.process.wait(5) == -signal.SIGKILL
    with serving(ledger) as server:
        server.faults(retry_seconds=0.01)
        assert server.repay(loan, body, key="crashed").status_code == 425
        assert len(server.ledger_of(loan)) == posted
        first = server.requests_of(loan)[0]
        assert (first["status"], first["endedAt"], first["applied"]) == (None, None, bool(posted))


def test_a_restart_keeps_keys_and_forgets_the_switches(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with serving(ledger) as server:
        loan = server.new_loan()
        first = server.repay(loan, key="kept")
        server.faults({"kind": "unauthorized"})
        server.process.terminate()
        server.process.wait(10)
    with serving(ledger) as server:
        again = server.repay(loan, key="kept")
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["x-served-from-cache"] == "true"
        assert len(server.requests_of(loan)) == 2


def test_the_duplicate_flavour_latency_and_credentials_can_be_chosen(tmp_path: Path) -> None:
    options = ["--duplicate-flavour", "mysql", "--latency-ms", "50"]
    options += ["--user", "bank", "--password", "secret", "--tenant", "india"]
    with serving(tmp_path / "ledger.sqlite", *options) as server:
        server.api = server.client(
            auth=("bank", "secret"), headers={"Fineract-Platform-TenantId": "india"}
        )
        loan = server.new_loan()
        assert server.repay(loan, externalId="flavour").elapsed.total_seconds() >= 0.05
        assert server.repay(loan, externalId="flavour").status_code == 403
        assert server.client().get("/paymenttypes").status_code == 400


def test_a_ledger_belongs_to_one_process(tmp_path: Path) -> None:
    with serving(tmp_path / "ledger.sqlite") as server:
        other = sqlite3.connect(server.ledger, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT * FROM loan")
        other.close()


def test_a_taken_port_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path / "ledger.sqlite") as server:
        port = server.root_url.rpartition(":")[2]
        with pytest.raises(AssertionError), serving(tmp_path / "other.sqlite", "--port", port):
            pass
    errors = capfd.readouterr().err
    assert errors == f"sandbox: cannot listen on 127.0.0.1:{port}: Address already in use\n"
