"""Every posting is set against the ledger once soon after it was made, and in turn ever after."""

from typing import Any

import pytest

from repayment_platform.exceptions.queue import (
    open_exceptions,
)
from repayment_platform.ledger.identity import WrongLedger
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.posting.test_proof import agrees
from repayment_platform_tests.posting.undone import payment, put_back, undo

CHECKED = 'SELECT count(ledger_checked_at) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_to(**values: int) -> None:
        for name, value in values.items():
            monkeypatch.setattr(f"repayment_platform.ledger.scope.{name}", value)

    return set_to


def posted(bench: Bench, count: int) -> list[str]:
    """Keys of payments on loans of their own, each posted by a run that was not followed by the
    check."""
    loans = [f"LN-{n}" for n in range(count)]
    bench.loans(*loans)
    keys = []
    for loan in loans:
        keys.append(payment(bench, loan))
        bench.post()
    return keys


def test_what_a_run_posted_that_no_check_followed_is_compared_by_the_next_check(
    bench: Bench, numbers: Any
) -> None:
    numbers(RECENT=1)
    first, _ = posted(bench, 2)
    undo(bench, first)

    assert agrees(bench).findings == [f"{first}: was undone in the ledger"]


def test_of_very_many_never_compared_the_oldest_come_first_and_the_rest_in_the_next_check(
    bench: Bench, numbers: Any
) -> None:
    numbers(RECENT=0, UNCHECKED=2)
    posted(bench, 3)

    assert [(agrees(bench).checked, bench.one(CHECKED)) for _ in range(3)] == [
        (2, (2,)),
        (1, (3,)),
        (0, (3,)),
    ]


def test_a_posting_undone_long_after_it_was_compared_is_found_when_its_turn_comes(
    bench: Bench, numbers: Any
) -> None:
    numbers(RECENT=1, LOANS_IN_TURN=1)
    first, second, _ = posted(bench, 3)
    assert agrees(bench).checked == 3
    for key in (first, second):
        undo(bench, key)
    assert agrees(bench).holds

    found = [agrees(bench, in_turn=True).findings for _ in range(3)]

    assert sorted(found) == [
        [],
        *([f"{key}: was undone in the ledger"] for key in sorted((first, second))),
    ]


def test_a_loan_is_compared_with_all_its_postings_whichever_of_them_is_asked_about(
    bench: Bench, numbers: Any
) -> None:
    bench.loans("LN-1")
    old = bench.payment("LN-1")
    bench.post()
    assert agrees(bench).holds
    undo(bench, old)
    numbers(RECENT=0)
    bench.payment("LN-1", "7.00")
    bench.post()

    assert agrees(bench).findings == [f"{old}: was undone in the ledger"]


def test_a_posting_whose_loan_fineract_does_not_have_any_more_is_an_exception(
    bench: Bench,
) -> None:
    (key,) = posted(bench, 1)
    bench.connection.execute(
        """UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET loan_external_id = 'LN-GONE'"""
    )

    assert agrees(bench).findings == [f"{key}: is not in the ledger, nor is its loan"]
    (found,) = open_exceptions(bench.connection)
    assert (found.source_key, found.kind) == (key, "ledger_missing")
    assert bench.one(CHECKED) == (1,)


def test_what_is_posted_again_was_never_compared(bench: Bench) -> None:
    (key,) = posted(bench, 1)
    undo(bench, key)
    assert not agrees(bench).holds
    assert bench.one(CHECKED) == (1,)

    put_back(bench, key)
    assert bench.one(CHECKED) == (0,)
    # As a check left it that had read the former posting.
    bench.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET ledger_checked_at = now()'
    )
    bench.post()

    assert bench.one(CHECKED) == (0,)
    assert agrees(bench).holds
    assert bench.one(CHECKED) == (1,)


def test_what_could_not_be_read_is_asked_about_again(bench: Bench) -> None:
    posted(bench, 1)
    bench.faults({"kind": "gateway", "on": "lookup"})
    (finding,) = agrees(bench).findings
    assert "loan LN-0 could not be read" in finding
    assert bench.one(CHECKED) == (0,)

    bench.faults()
    assert agrees(bench).holds
    assert bench.one(CHECKED) == (1,)


def test_a_fineract_that_is_away_is_not_asked_about_every_loan(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repayment_platform.exceptions.ledger_proof.GIVES_UP_AFTER", 2)
    monkeypatch.setattr(bench.settings, "posting_workers", 1)
    posted(bench, 5)
    bench.faults({"kind": "gateway", "on": "lookup"})

    *unread, told = agrees(bench).findings

    assert len(unread) == 2
    assert told == "not all loans were asked about: Fineract failed 2 times in a row"


def test_another_ledger_than_the_one_posted_to_is_not_asked_at_all(bench: Bench) -> None:
    posted(bench, 1)
    bench.settings = bench.settings.model_copy(update={"fineract_tenant": "other"})
    before = len(bench.requests())

    with pytest.raises(WrongLedger):
        agrees(bench)

    assert len(bench.requests()) == before
    assert open_exceptions(bench.connection) == []
