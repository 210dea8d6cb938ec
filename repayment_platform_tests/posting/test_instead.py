"""A repayment of ours that was changed in Fineract: what stands in its place is named, and ours
is not posted beside it before somebody has said that it is other money."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    NeedsRepost,
    decide,
)
from repayment_platform.exceptions.gone import NotReposted
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform.exceptions.reposting import Reposted
from repayment_platform.fineract.lookups import read_listing
from repayment_platform.fineract.wire import Answer
from repayment_platform.ledger.instead import named, standing_for
from repayment_platform_tests.command import Commands
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_exceptions import REFUND, RETURN, closed
from repayment_platform_tests.posting.undone import (
    adjust,
    again,
    differences,
    enter,
    every_proof_holds,
    ids_in_ledger,
    payment,
    post_again,
    some_time_passes,
    undo,
)
from repayment_platform_tests.recorded import recordings

LOAN, TODAY = "LN-UNDO", date(2026, 11, 30)
"""Of the recorded answers."""


@pytest.fixture
def posted(bench: Bench) -> str:
    """A payment that was posted some time ago."""
    bench.loans("LN-1", "LN-2")
    key = payment(bench)
    bench.post()
    some_time_passes(bench)
    return key


@pytest.fixture
def in_doubt(bench: Bench) -> str:
    """A payment that was sent by a run that is dead, and posted; nobody here knows."""
    bench.loans("LN-1")
    key = payment(bench)
    bench.connection.execute(
        """INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
               payment_date, amount, idempotency_key, run_id, worker, intended_at)
           VALUES (%s, 'ARTHMATE', 'LN-1', %s, 100, 'k', 'dead', 0, now() - interval '1 hour')""",
        (key, DAY),
    )
    enter(bench, externalId=key)
    return key


def refusal(bench: Bench, key: str, *other_money: int) -> NotReposted:
    came = post_again(bench, key, *other_money)
    assert isinstance(came, NotReposted), came
    return came


def test_a_repayment_that_was_changed_is_an_exception_that_names_what_stands(
    bench: Bench, posted: str
) -> None:
    number = adjust(bench, posted, 4249.5)

    what = f"was changed in the ledger to 4,249.50 (transaction {number})"
    assert differences(bench) == [f"{posted}: {what}"]
    (found,) = open_holds(bench.connection)
    assert (found.kind, found.what) == ("reversed_in_ledger", what)
    assert differences(bench) == [f"{posted}: {what}"]
    assert [hold.id for hold in open_holds(bench.connection)] == [found.id]


def test_it_is_posted_again_only_when_a_person_says_that_what_stands_is_other_money(
    bench: Bench, posted: str
) -> None:
    number = adjust(bench, posted, 4249.5)
    differences(bench)

    for said in ((), (number + 1,)):
        came = refusal(bench, posted, *said)
        assert f"it was changed in Fineract to 4,249.50 (transaction {number})" in str(came)
        assert [t.resource_id for t in came.standing] == [number]
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_AUDIT_LOG"') == (0,)
    bench.post()
    assert bench.states() == {posted: "held"}

    assert post_again(bench, posted, number) == Reposted(again(1), True, False)
    bench.post()

    assert ids_in_ledger(bench) == {posted: False, None: True, again(1): True}
    (detail,) = bench.one('SELECT detail FROM "CORE"."CORE_AUDIT_LOG"')
    assert detail["other_money"] == [f"4,249.50 (transaction {number})"]
    every_proof_holds(bench)


def test_what_is_changed_twice_is_known_by_what_stands_last(bench: Bench, posted: str) -> None:
    adjust(bench, posted, 90, externalId="by hand")
    number = adjust(bench, "by hand", 80)

    assert f"80.00 (transaction {number}), and" in str(refusal(bench, posted))


def test_what_is_changed_on_two_days_and_to_another_date_is_found_all_the_same(
    bench: Bench, posted: str
) -> None:
    bench.faults({"kind": "business_date_behind", "days": 3})
    other = str(DAY - timedelta(2))
    adjust(bench, posted, 90, externalId="by hand", transactionDate=other)
    bench.faults()
    number = adjust(bench, "by hand", 80, transactionDate=other)

    assert f"(transaction {number}), and" in str(refusal(bench, posted))


def test_all_that_stands_is_named_and_must_be_said_of(bench: Bench, posted: str) -> None:
    first = adjust(bench, posted, 60)
    second = enter(bench, 40, transactionDate=str(DAY + timedelta(2)))

    names = f"60.00 (transaction {first}), 40.00 of {DAY + timedelta(2)} (transaction {second})"
    assert differences(bench) == [f"{posted}: was changed in the ledger to {names}"]
    assert names in str(refusal(bench, posted))
    assert [t.resource_id for t in refusal(bench, posted, first).standing] == [second]
    assert isinstance(post_again(bench, posted, first, second), Reposted)


def test_what_was_entered_before_that_day_for_another_day_is_other_money(
    bench: Bench, posted: str
) -> None:
    bench.faults({"kind": "business_date_behind", "days": 3})
    enter(bench, 40, transactionDate=str(DAY - timedelta(2)))
    bench.faults()
    undo(bench, posted)

    assert differences(bench) == [f"{posted}: was undone in the ledger"]
    assert isinstance(post_again(bench, posted), Reposted)


def test_our_own_other_payment_of_the_loan_is_not_named(bench: Bench, posted: str) -> None:
    payment(bench, amount="40.00")
    bench.post()
    undo(bench, posted)

    assert differences(bench) == [f"{posted}: was undone in the ledger"]
    assert isinstance(post_again(bench, posted), Reposted)


def test_a_payment_that_moved_to_another_loan_is_compared_with_the_loan_it_was_on(
    bench: Bench, posted: str
) -> None:
    bench.payment(source_key=posted, loan_external_id="LN-2")
    number = adjust(bench, posted, 99)

    assert [t.resource_id for t in refusal(bench, posted).standing] == [number]
    assert isinstance(post_again(bench, posted, number), Reposted)
    bench.post()
    assert ids_in_ledger(bench) == {posted: False, None: True, again(1): True}


@pytest.mark.parametrize("given_back", [RETURN, REFUND])
def test_what_was_to_be_undone_and_was_changed_is_told(
    bench: Bench, posted: str, given_back: dict[str, Any]
) -> None:
    bench.payment(**given_back)
    bench.post()

    number = adjust(bench, posted, 60)

    told = f"{posted}: was changed in the ledger to 60.00 (transaction {number})"
    assert differences(bench) == [told]
    assert [found.kind for found in open_exceptions(bench.connection)] == ["reversed_in_ledger"]
    assert [(by, why) for _, by, why in closed(bench)] == [("look-up", "it was undone in Fineract")]
    assert differences(bench) == [told]


def test_what_was_in_doubt_and_was_changed_is_held_with_what_stands(
    bench: Bench, in_doubt: str
) -> None:
    number = adjust(bench, in_doubt, 4249.5)

    bench.post()

    (hold,) = open_holds(bench.connection)
    what = f"4,249.50 (transaction {number})"
    assert hold.what == f"was changed in the ledger to {what}"
    assert bench.states() == {in_doubt: "held"}
    with pytest.raises(NeedsRepost):
        decide(bench.connection, hold.id, Decision.RELEASE, "asha", "post it")
    some_time_passes(bench)
    assert f"changed in Fineract to {what}" in str(refusal(bench, in_doubt))
    assert isinstance(post_again(bench, in_doubt, number), Reposted)
    bench.post()
    assert ids_in_ledger(bench) == {in_doubt: False, None: True, again(1): True}


def test_what_was_in_doubt_and_undone_is_held_though_its_loans_list_cannot_be_read(
    bench: Bench, in_doubt: str
) -> None:
    undo(bench, in_doubt)
    bench.faults({"kind": "gateway", "on": "lookup", "skip": 1})

    bench.post()

    (hold,) = open_holds(bench.connection)
    assert "what stands instead could not be read" in hold.what
    assert bench.states() == {in_doubt: "held"}


def test_the_command_names_what_stands_and_takes_a_persons_word(
    bench: Bench, posted: str, run_with_fineract: Commands
) -> None:
    number = adjust(bench, posted, 4249.5)
    asked = ("repost", posted, "--why", "paid in cash as well")

    first = run_with_fineract(*asked)
    second = run_with_fineract(*asked, "--other-money", str(number))

    assert f"changed in Fineract to 4,249.50 (transaction {number})" in first.stdout
    assert f"--other-money {number}" in first.stderr
    assert "to be posted by the next run" in second.stdout
    assert (first.code, second.code) == (1, 0)


def test_a_recorded_adjustment_is_found_beside_the_repayment_it_changed() -> None:
    """Nothing in Fineract's answers relates the two."""
    answer = next(each for each in recordings() if each.name == "undo-listing")
    listing = read_listing(Answer(200, answer.headers, json.dumps(answer.answer).encode()), LOAN)
    assert isinstance(listing, tuple)
    known = {transaction.resource_id: transaction for transaction in listing}
    ours, instead = known[28], known[29]

    assert (ours.external_id, ours.reversed, ours.reversed_on) == ("ad1", True, TODAY)
    assert (instead.external_id, instead.submitted_on) == (None, TODAY)
    assert standing_for([ours], listing, {"ad1"})[0] == instead
    assert named([instead], ours.date) == "450.00 (transaction 29)"
