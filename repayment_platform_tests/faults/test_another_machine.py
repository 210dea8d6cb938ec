"""docs/backup.md, followed command by command: a platform that is lost comes back elsewhere."""

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from repayment_platform.sample_data.deliver import Webhook, send_once, webhooks
from repayment_platform.sample_data.folder import LOANS, SECRETS, TRUTH
from repayment_platform.sample_data.generate import generate
from repayment_platform.sample_data.signing import read_secrets
from repayment_platform.sample_data.truth import Truth, compare, read
from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import API_PATH
from repayment_platform.sources.dates import KOLKATA
from repayment_platform.sources.registry import SOURCES, Kind, PostingMode
from repayment_platform_tests.machine import Machine, Page, UpOfMachine, origin, remove
from repayment_platform_tests.ports import free_port
from repayment_platform_tests.standing import PORTS
from repayment_platform_tests.waiting import wait_until

pytestmark = [pytest.mark.whole, pytest.mark.faults, pytest.mark.timeout(1800)]
PAGE = Page.read("backup.md")
RECONCILE = './run reconcile --lender UGRO --why "as every day"'
EVENTS = " UNION ALL ".join(
    f'SELECT \'{name}\', event_id, body::text FROM "RAW"."{name}"'
    for name, source in SOURCES.items()
    if source.kind is not Kind.FILE
)
FILES = """SELECT name, status FROM "CORE"."CORE_FILE_LOG" WHERE status = 'landed'"""
SUCCESSES = """SELECT count(*), count(DISTINCT source_key)
               FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE status = 'success'"""


@dataclass
class Senders:
    """The gateways and those who send files: they have what they sent, whatever is lost."""

    sample: Path
    fineract: int
    taken: list[Webhook] = field(default_factory=list)
    """Deliveries that were answered 200, in their order."""

    def __post_init__(self) -> None:
        self.deliveries = list(webhooks(self.sample))
        self.files = [
            file
            for source in SOURCES.values()
            if source.kind is Kind.FILE
            for file in sorted((self.sample / source.table).iterdir())
        ]

    @property
    def truth(self) -> Truth:
        return read(self.sample / TRUTH)

    def send(self, up: UpOfMachine, some: Sequence[Webhook]) -> None:
        secrets = read_secrets(self.sample / SECRETS)
        url = f"http://127.0.0.1:{up.ports['WEBHOOK_PORT']}"
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for delivery in some:
                assert send_once(client, delivery, secrets).status_code == 200
                self.taken.append(delivery)

    @contextmanager
    def sending(self, up: UpOfMachine, some: Sequence[Webhook]) -> Iterator[None]:
        """While the block runs, and until all are sent."""
        failed: list[BaseException] = []

        def send() -> None:
            try:
                self.send(up, some)
            except BaseException as error:  # noqa: BLE001 - told below
                failed.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        yield
        sender.join()
        assert failed == []

    @staticmethod
    def drop(folder: Path, files: Sequence[Path]) -> None:
        """Into the folder of each file's source."""
        for file in files:
            (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, folder / file.parent.name)

    def ledger(self) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.fineract}/sandbox/ledger"
        rows: list[dict[str, Any]] = httpx.get(url, trust_env=False).json()
        return sorted(rows, key=lambda row: str(row["externalId"]))

    def differences(self) -> list[str]:
        """From the truth, of what no reconciliation posts."""
        payments = self.truth["payments"]
        by_hand = {p["loan"] for p in payments if p["posting"] != PostingMode.AUTOMATED}
        return compare(
            self.truth, [row for row in self.ledger() if row["loanExternalId"] not in by_hand]
        )


@pytest.fixture
def place() -> Iterator[Path]:
    """Not below pytest's own directory, which is closed to the user that runs PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="repayment-machines-") as folder:
        yield Path(folder)


@pytest.fixture
def senders(place: Path) -> Iterator[Senders]:
    """With a Fineract that no machine of ours takes with it."""
    sample, port = place / "sample", free_port()
    sample.mkdir()
    generate(sample, 60, 5, datetime.now(KOLKATA).date())
    with running_sandbox(place / "fineract", port, 10):
        loans = json.loads((sample / LOANS).read_text())
        httpx.post(f"http://127.0.0.1:{port}/sandbox/loans", json=loans).raise_for_status()
        yield Senders(sample, port)


def rows(up: UpOfMachine, query: str) -> list[tuple[object, ...]]:
    with up.database() as connection:
        return sorted(connection.execute(query.encode()).fetchall(), key=str)


def until_landed(up: UpOfMachine, files: Sequence[Path]) -> None:
    wait_until(lambda: {f.name for f in files} <= {str(n) for n, _ in rows(up, FILES)}, 300)


def test_a_platform_that_is_lost_with_its_machine_comes_back_on_another(
    place: Path, senders: Senders
) -> None:
    chosen = {name: str(place / name.lower()) for name in PAGE.names}
    origin(Path(chosen["PROJECT"]))
    for name in ("BACKUPS", "SECRETS"):
        Path(chosen[name]).mkdir()
    ports = {name: str(free_port()) for name in PORTS}
    settings = ports | {
        "FINERACT_BASE_URL": f"http://127.0.0.1:{senders.fineract}{API_PATH}",
        "FINERACT_ALLOWED_HOSTS": "127.0.0.1",
        "FINERACT_TIMEOUT_SECONDS": "5",
        "FINERACT_SETTLE_SECONDS": "6",
    }
    deliveries, files = senders.deliveries, senders.files
    early, late = deliveries[::2], deliveries[1::2]
    landed, waiting, later = files[::3], files[1:2], [f for f in files[1:] if f not in files[::3]]
    later.remove(waiting[0])

    # A platform that has posted, is backed up while it runs, and posts more.
    former = Machine(place / "former", chosen | {"REPAYMENT_HOME": str(place / "former" / "home")})
    former.type('git clone -q "$PROJECT" repayment\ncd repayment')
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    env = (senders.sample / SECRETS).read_text() + "".join(lines)
    (former.place / ".env").write_text(env)
    up = former.up(ports)
    try:
        up.start()
        inbox = up.home / "inbox"
        senders.drop(inbox, landed)
        senders.send(up, early)
        until_landed(up, landed)
        former.type("./run pipeline")
        former.type(RECONCILE)
        acknowledged = rows(up, EVENTS)
        before = senders.ledger()
        senders.drop(inbox, waiting)
        with senders.sending(up, late[: len(late) // 2]):
            for commands in PAGE.under("Back up while everything runs"):
                former.type(commands)
        refused = former.type('! ./run restore "$BACKUPS/repayment.dump" --replace')
        assert "the database is in use by" in refused
        senders.send(up, late[len(late) // 2 :])
        senders.drop(inbox, later)
        until_landed(up, [*waiting, *later])
        former.type("./run pipeline")
        former.type(RECONCILE)
        everything = rows(up, EVENTS)
        ledger = senders.ledger()
        assert 0 < len(before) < len(ledger)
        assert 0 < len(acknowledged) < len(everything)
    finally:
        up.kill_everything()
    remove(place / "former")

    # Another one, by the page.
    senders.drop(Path(chosen["AGAIN"]), later)
    machine = Machine(place / "machine", chosen)
    said = [machine.type(commands) for commands in PAGE.under("On the new machine")]
    assert "restored" in said[-1]
    up = machine.up(ports)
    try:
        pausing, starting, posting = PAGE.under("What came since the backup")
        machine.type(pausing)
        assert starting == "./run up\n"
        up.start()
        assert set(acknowledged) <= set(rows(up, EVENTS))
        senders.send(up, senders.taken[len(early) :])
        until_landed(up, files)
        assert rows(up, EVENTS) == everything
        machine.type(posting)
        [checking] = PAGE.under("How to be sure")
        assert "All is right." in machine.type(checking)

        assert senders.ledger() == ledger
        assert senders.differences() == []
        assert len({row["externalId"] for row in ledger}) == len(ledger)
        assert rows(up, SUCCESSES) == [(len(ledger), len(ledger))]
        up.next_tick_works()
        assert senders.ledger() == ledger
    finally:
        up.kill_everything()

    # And the rehearsal, which posts nowhere.
    own = {"SANDBOX_PORT": str(free_port())} | {k: chosen[k] for k in ("PROJECT", "BACKUPS")}
    rehearsal = Machine(place / "rehearsal", own)
    said = [rehearsal.type(commands) for commands in PAGE.under("Rehearse it")]
    assert f"Ledger posted to: {settings['FINERACT_BASE_URL']}" in said[-1]
    assert "must not post to sandbox" in rehearsal.type("! ./run pipeline --skip-dbt")
    assert senders.ledger() == ledger
