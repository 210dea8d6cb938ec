"""Fineract restored from a backup: what it has lost is posted again on purpose, once."""

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from repayment_platform.exceptions.gone import NotReposted
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.reposting import Reposted, missing_keys, repost
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.proof import nothing_recorded_twice, nothing_unaccounted
from repayment_platform.sandbox.process import running_sandbox
from repayment_platform_tests.posting.conftest import Bench


@pytest.fixture
def lost(bench: Bench, tmp_path: Path) -> tuple[str, str]:
    """Two payments posted; Fineract is then what it was after the first."""
    bench.loans("LN-1", "LN-2")
    kept = bench.payment("LN-1")
    bench.post()
    yesterday = tmp_path / "yesterday"
    with fineract_down(bench) as books:
        yesterday.mkdir()
        for file in books:
            shutil.copy(file, yesterday)
    gone = bench.payment("LN-2")
    bench.post()
    with fineract_down(bench) as books:
        for file in books:
            file.unlink()
        for file in yesterday.iterdir():
            shutil.copy(file, bench.settings.home)
    assert [row[0] for row in bench.ledger()] == [kept]
    bench.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET processed_at = processed_at - %s',
        (timedelta(minutes=5),),
    )
    return kept, gone


@contextmanager
def fineract_down(bench: Bench) -> Iterator[list[Path]]:
    """Its files, while it is down; it comes up again with what they hold then."""
    home = bench.settings.home
    health = f"{bench.sandbox.root_url}/sandbox/health"
    os.kill(httpx.get(health).json()["pid"], signal.SIGKILL)
    while True:
        try:
            httpx.get(health)
        except httpx.TransportError:
            break
    yield list(home.glob("sandbox.sqlite*"))
    with running_sandbox(home, bench.sandbox.port):
        """It stays up: this test's fixture uses it too."""


def put_back(bench: Bench, *keys: str) -> dict[str, Reposted | NotReposted]:
    return asyncio.run(repost(bench.settings, bench.connection, keys, "asha", "restored"))


def test_a_run_after_the_restore_posts_nothing_and_the_check_names_what_is_gone(
    bench: Bench, lost: tuple[str, str]
) -> None:
    kept, gone = lost
    bench.post()
    assert [row[0] for row in bench.ledger()] == [kept]
    proof = asyncio.run(ledger_agrees(bench.settings, bench.conninfo, LedgerScope()))
    assert not proof.holds
    assert missing_keys(bench.connection) == [gone]


def test_what_is_gone_is_posted_again_once_and_said_in_the_audit_log(
    bench: Bench, lost: tuple[str, str]
) -> None:
    kept, gone = lost
    assert put_back(bench, gone) == {gone: Reposted(gone, False, False)}
    for _ in range(2):
        bench.post()
    assert sorted(row[0] for row in bench.ledger()) == sorted(lost)
    assert bench.states() == {kept: "success", gone: "success"}
    assert bench.one('SELECT who, action, subject FROM "CORE"."CORE_AUDIT_LOG"') == (
        "asha",
        "payment.repost",
        gone,
    )
    attempts = 'SELECT count(*), count(undone_at) FROM "CORE"."CORE_POSTING_ATTEMPT"'
    assert bench.one(f"{attempts} WHERE source_key = %s", gone) == (2, 1)
    assert nothing_recorded_twice(bench.conninfo).findings == []
    assert nothing_unaccounted(bench.conninfo).findings == []
    scope = LedgerScope()
    assert asyncio.run(ledger_agrees(bench.settings, bench.conninfo, scope)).findings == []
    assert missing_keys(bench.connection) == []


def test_what_fineract_has_stays_posted(bench: Bench, lost: tuple[str, str]) -> None:
    kept, _ = lost
    assert "Fineract has it, as transaction" in str(put_back(bench, kept)[kept])
    assert bench.states()[kept] == "success"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda b: b.faults({"kind": "gateway", "on": "lookup"}), "could not be asked"),
        (lambda b: None, "ask again from "),
    ],
)
def test_without_fineracts_own_word_nothing_is_put_back(
    bench: Bench, lost: tuple[str, str], spoil: Callable[[Bench], Any], said: str
) -> None:
    _, gone = lost
    if said == "ask again from ":
        query = 'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET processed_at = now()'
        bench.connection.execute(query)
    spoil(bench)
    assert said in str(put_back(bench, gone)[gone])
    assert bench.states()[gone] == "success"
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_AUDIT_LOG"') == (0,)


def test_a_payment_that_was_never_posted_is_refused(bench: Bench, lost: tuple[str, str]) -> None:
    waiting = bench.payment("LN-1", "7.00")
    assert "neither recorded as posted nor as undone" in str(put_back(bench, waiting)[waiting])
