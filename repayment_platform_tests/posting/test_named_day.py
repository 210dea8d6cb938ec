"""A payment that Fineract refuses on its own day is posted on one that an approver names."""

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from repayment_platform.exceptions.decisions import Decision, NotOfItsKind, decide
from repayment_platform.exceptions.gone import NotReposted
from repayment_platform.exceptions.kinds import Right
from repayment_platform.exceptions.queue import open_questions
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_reposting import fineract_down
from repayment_platform_tests.posting.undone import (
    differences,
    enter,
    payment,
    post_again,
    put_back,
    some_time_passes,
    undo,
)

LATE = DAY - timedelta(days=10)
ITS_DAYS = (
    'SELECT status, payment_date, paid_on FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" '
    "WHERE source_key = %s"
)


@pytest.fixture
def refused(bench: Bench) -> str:
    """A payment of which Fineract says that it lies before the loan's last transaction."""
    bench.loans("LN-1", schedule="recalculated")
    payment(bench)
    bench.post()
    late = payment(bench, n=1, day=LATE)
    bench.post()
    return late


def name(bench: Bench, day: date | None, right: Right = Right.APPROVER) -> None:
    (question,) = open_questions(bench.connection)
    decide(
        bench.connection, question.id, Decision.POST_ON, "asha", "the file was late",
        question.seen, right=right, day=day,
    )  # fmt: skip


def test_it_is_posted_on_that_day_and_core_and_the_outcome_keep_its_own(
    bench: Bench, refused: str
) -> None:
    name(bench, DAY)
    bench.post()

    assert bench.states()[refused] == "success"
    assert bench.one(ITS_DAYS, refused) == ("success", DAY, LATE)
    kept = 'SELECT payment_date FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s'
    assert bench.one(kept, refused) == (LATE,)
    # Compares the day that Fineract has with the one that was posted.
    assert differences(bench) == []
    bench.post()
    assert open_questions(bench.connection) == []


def test_a_day_that_fineract_refuses_too_is_asked_about_anew(bench: Bench, refused: str) -> None:
    name(bench, DAY - timedelta(days=5))
    bench.post()

    assert bench.one(ITS_DAYS, refused) == ("failed", DAY - timedelta(days=5), LATE)
    (question,) = open_questions(bench.connection)
    assert question.what.startswith("changed since")
    bench.post()
    assert [each.id for each in open_questions(bench.connection)] == [question.id]
    name(bench, DAY)
    bench.post()
    assert bench.states()[refused] == "success"


def test_a_correction_of_the_payment_takes_the_named_day_back(bench: Bench, refused: str) -> None:
    name(bench, DAY + timedelta(days=3))
    landed = f"{DAY + timedelta(days=1)} 10:00+05:30"
    bench.corrected(refused, payment_date=DAY, first_landed_at=landed, last_landed_at=landed)
    bench.post()
    assert bench.one(ITS_DAYS, refused) == ("success", DAY, None)


def test_another_fact_that_becomes_known_leaves_the_named_day(bench: Bench, refused: str) -> None:
    name(bench, DAY)
    bench.corrected(refused, payment_ref="nach:1")
    bench.post()
    assert bench.one(ITS_DAYS, refused) == ("success", DAY, LATE)


def test_what_is_posted_again_is_asked_about_again(bench: Bench, refused: str) -> None:
    name(bench, DAY)
    bench.post()
    undo(bench, refused)
    put_back(bench, refused)
    bench.post()
    assert bench.states()[refused] == "failed"
    name(bench, DAY)
    bench.post()
    assert bench.one(ITS_DAYS, refused) == ("success", DAY, LATE)


def test_a_repayment_entered_by_hand_on_the_named_day_may_be_its_money(
    bench: Bench, refused: str, tmp_path: Path
) -> None:
    with fineract_down(bench) as books:
        for file in books:
            shutil.copy(file, tmp_path)
    name(bench, DAY)
    bench.post()
    with fineract_down(bench) as books:
        for file in books:
            file.unlink()
        for file in tmp_path.glob("sandbox.sqlite*"):
            shutil.copy(file, bench.settings.home)
    enter(bench)
    some_time_passes(bench)
    assert isinstance(post_again(bench, refused), NotReposted)


def test_only_an_approver_names_a_day_that_was_and_is_later(bench: Bench, refused: str) -> None:
    tomorrow = datetime.now(ZoneInfo("Asia/Kolkata")).date() + timedelta(days=1)
    for day, right, why in (
        (DAY, Right.OPERATOR, "only an approver"),
        (None, Right.APPROVER, "name the day"),
        (LATE, Right.APPROVER, "not after the day"),
        (tomorrow, Right.APPROVER, "yet to come"),
    ):
        with pytest.raises(NotOfItsKind, match=why):
            name(bench, day, right)
    assert bench.states()[refused] == "failed"


def test_a_loan_that_fineract_does_not_know_is_no_matter_of_the_day(bench: Bench) -> None:
    payment(bench)
    bench.post()
    with pytest.raises(NotOfItsKind, match="did not refuse it for its day"):
        name(bench, DAY)
