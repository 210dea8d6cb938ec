"""When a payment is not posted again."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform.exceptions.reposting import Reposted, repost
from repayment_platform.fineract.client import FineractClient
from repayment_platform.ledger.identity import WrongLedger
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.posting.test_reposting import fineract_down
from repayment_platform_tests.posting.undone import (
    again,
    differences,
    enter,
    every_proof_holds,
    ids_in_ledger,
    payment,
    post_again,
    put_back,
    some_time_passes,
    undo,
    undone,
)

__all__ = ["undone"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda b: b.faults({"kind": "gateway", "on": "lookup"}), "could not be asked"),
        (enter, "nobody has said that this is other money"),
        (
            lambda b: b.connection.execute(
                'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET processed_at = now()'
            ),
            "ask again from ",
        ),
        (lambda b: b.payment("LN-1", is_success=False), "no repayment any more"),
        (
            lambda b: b.connection.execute('DELETE FROM "CORE"."CORE_PAYMENT_KEY"'),
            "its key was not made here",
        ),
    ],
)
def test_without_fineracts_word_that_nothing_of_it_stands_it_stays_as_it_is(
    bench: Bench, undone: str, spoil: Callable[[Bench], Any], said: str
) -> None:
    some_time_passes(bench)
    spoil(bench)

    assert said in str(post_again(bench, undone))

    assert bench.states() == {undone: "held"}
    assert len(open_holds(bench.connection)) == 1
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_AUDIT_LOG"') == (0,)


def test_what_stands_in_fineract_is_not_posted_again(bench: Bench, undone: str) -> None:
    put_back(bench, undone)
    bench.post()
    some_time_passes(bench)

    assert "Fineract has it, as transaction" in str(post_again(bench, undone))

    assert bench.states() == {undone: "success"}


def test_a_former_repayment_that_stands_again_forbids_it(bench: Bench, tmp_path: Path) -> None:
    """Fineract restored to before the undoing has the first repayment and lacks the second."""
    bench.loans("LN-1")
    key = payment(bench)
    bench.post()
    with fineract_down(bench) as books:
        for file in books:
            shutil.copy(file, tmp_path)
    undo(bench, key)
    put_back(bench, key)
    bench.post()
    with fineract_down(bench) as books:
        for file in books:
            file.unlink()
        for file in tmp_path.glob("sandbox.sqlite*"):
            shutil.copy(file, bench.settings.home)
    assert ids_in_ledger(bench) == {key: True}
    some_time_passes(bench)

    assert "Fineract has it, as transaction" in str(post_again(bench, key))

    assert len(differences(bench)) == 2


def test_another_fineract_is_not_asked(bench: Bench, undone: str) -> None:
    some_time_passes(bench)
    with pytest.raises(WrongLedger):
        post_again(bench, undone, fineract_tenant="staging")
    assert bench.states() == {undone: "held"}


@pytest.mark.parametrize("runs", [0, 1])
def test_of_two_people_one_posts_it_again(
    bench: Bench, undone: str, monkeypatch: pytest.MonkeyPatch, runs: int
) -> None:
    """Also when a run has posted it by the time the slower one has Fineract's answer."""
    some_time_passes(bench)
    ask = FineractClient.list_transactions

    async def while_another_does(self: FineractClient, loan: str) -> Any:
        monkeypatch.setattr(FineractClient, "list_transactions", ask)
        with psycopg.connect(bench.conninfo, autocommit=True) as other:
            (theirs,) = (
                await repost(bench.settings, other, [undone], "ravi", "undone by mistake")
            ).values()
        assert isinstance(theirs, Reposted)
        answer = await ask(self, loan)
        for _ in range(runs):
            await asyncio.to_thread(bench.post)
        return answer

    monkeypatch.setattr(FineractClient, "list_transactions", while_another_does)
    assert "changed just now" in str(post_again(bench, undone))
    bench.post()

    assert ids_in_ledger(bench) == {undone: False, again(1): True}
    every_proof_holds(bench)
