"""A stream of payments, sent to a receiver, an inbox and a sandbox that run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.inbox import inbox_of
from repayment_platform.posting.runner import run_posting
from repayment_platform.sample_data.outlet import Outlet, Unsent
from repayment_platform.sample_data.signing import demo_secrets
from repayment_platform.sample_data.stream import Checkpoint, Stream, read_checkpoint
from repayment_platform.sample_data.truth import read
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.dbt_once import play
from repayment_platform_tests.sample_data.conftest import TODAY
from repayment_platform_tests.sample_data.test_against_platform import AUTOMATED
from repayment_platform_tests.web.receiving import start

START = Checkpoint(1, TODAY.isoformat())
NOWHERE = httpx.Client(base_url="http://127.0.0.1:9")


@pytest.fixture
def outlet(database_urls: DatabaseUrls, sandbox: Sandbox, tmp_path: Path) -> Iterator[Outlet]:
    """The way to a receiver, a sandbox and the inboxes of this test's own."""
    secrets = demo_secrets()
    set_as = {name: ",".join(values) for name, values in secrets.items()}
    receiver = start(database_urls.psycopg, tmp_path, 0, **set_as)
    with (
        httpx.Client(base_url=receiver.url) as web,
        httpx.Client(base_url=sandbox.root_url) as bank,
    ):
        yield Outlet(web, bank, inbox_of(tmp_path), secrets, lambda _seconds: True)
    receiver.stop()


def tell(stream: Stream, stories: int) -> None:
    for _ in range(stories):
        stream.tell()
    stream.checkpoint()


def leave(outlet: Outlet) -> None:
    """Half-written files beside the inboxes, as a killed process leaves them."""
    for file in outlet._files.values():
        file.close()
    outlet._files.clear()


def payments(stream: Stream, root: Path) -> list[Any]:
    stream.close()
    told: list[Any] = read(root / "truth.json")["payments"]
    return told


def test_a_stream_that_went_on_has_told_the_same_as_one_that_never_ended(tmp_path: Path) -> None:
    told = {}
    for name, parts in {"whole": (60,), "parted": (25, 35)}.items():
        root = tmp_path / name
        root.mkdir()
        for stories in parts:
            stream = Stream(root, read_checkpoint(root) or START)
            tell(stream, stories)
        told[name] = payments(stream, root)
    assert told["parted"] == told["whole"]
    assert len(told["whole"]) >= 60


def test_a_story_that_was_not_taken_is_not_counted(tmp_path: Path, sandbox: Sandbox) -> None:
    """The receiver is away, so the stream ends with the first webhook, and its rows stay here."""
    bank = httpx.Client(base_url=sandbox.root_url)
    outlet = Outlet(NOWHERE, bank, inbox_of(tmp_path), demo_secrets(), lambda _seconds: True)
    stream = Stream(tmp_path, START)
    stream.send_to(outlet)
    with pytest.raises(Unsent, match="ConnectError"):
        tell(stream, 60)
    before = stream.counts["stories"]
    stream.checkpoint()
    assert read_checkpoint(tmp_path) == Checkpoint(START.seed, START.date, before)


def test_it_comes_again_until_the_receiver_is_back(tmp_path: Path, sandbox: Sandbox) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 3

    bank = httpx.Client(base_url=sandbox.root_url)
    stream = Stream(tmp_path, START)
    stream.send_to(Outlet(NOWHERE, bank, inbox_of(tmp_path), demo_secrets(), wait))
    with pytest.raises(Unsent):
        tell(stream, 60)
    stream.checkpoint()
    assert len(waits) == 3


def test_a_killed_stream_sends_the_same_again_and_nothing_lands_twice(
    tmp_path: Path,
    outlet: Outlet,
    settings: Settings,
    database_urls: DatabaseUrls,
    connection: psycopg.Connection[Any],
) -> None:
    """Killed after 40 stories, 25 of them behind a checkpoint; then all is landed and posted."""
    killed = Stream(tmp_path, START)
    killed.send_to(outlet)
    tell(killed, 25)
    for _ in range(15):
        killed.tell()
    leave(outlet)
    stream = Stream(tmp_path, read_checkpoint(tmp_path) or START)
    assert stream.counts["stories"] == 25
    stream.send_to(outlet)
    tell(stream, 35)
    told = payments(stream, tmp_path)

    for folder in inbox_of(tmp_path).iterdir():
        for file in sorted(folder.glob("*.*")):
            if not folder.name.startswith("."):
                result = ingest_file(connection.info.dsn, file, folder.name, received_by="test")
                assert result.status == "landed", result
    play(database_urls)
    due = sum(p["state"] == "success" for p in told)
    run_posting(settings, database_urls.psycopg, AUTOMATED, "run-1")
    ledger = httpx.get(f"{settings.base_url.split('/fineract')[0]}/sandbox/ledger").json()
    assert stream.differences(ledger) == []
    assert len(ledger) == due > 10
    assert stream.differences(ledger[1:]) != []
