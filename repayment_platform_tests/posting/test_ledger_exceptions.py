"""Differences of the ledger as exceptions: raised, excused, accepted by a person, and news."""

from datetime import timedelta

import httpx
import pytest

from repayment_platform.exceptions.decisions import (
    close,
)
from repayment_platform.exceptions.queue import OpenException, open_exceptions, open_holds
from repayment_platform.monitoring.findings import ledger_differences
from repayment_platform.monitoring.incidents import keep
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_exceptions import RETURN, closed, only_exception
from repayment_platform_tests.posting.undone import (
    again,
    differences,
    every_proof_holds,
    payment,
    put_back,
    undo,
)

STANDS = {"is_success": True, "outcome": "success", "not_repayment_reason": None}


@pytest.fixture
def posted(bench: Bench) -> str:
    """A payment that was posted."""
    bench.loans("LN-1")
    key = payment(bench)
    bench.post()
    return key


def enter_by_hand(bench: Bench, external_id: str, days_before: int = 0) -> None:
    """A repayment equal to that of `posted`, entered in Fineract by somebody else."""
    day = DAY - timedelta(days=days_before)
    url = f"{bench.settings.base_url}/loans/external-id/LN-1/transactions?command=repayment"
    body = {"dateFormat": "yyyy-MM-dd", "locale": "en", "transactionDate": day.isoformat(),
            "externalId": external_id, "transactionAmount": 100.0}  # fmt: skip
    password = bench.settings.fineract_password.get_secret_value()
    httpx.post(
        url,
        json=body,
        auth=(bench.settings.fineract_username, password),
        headers={"Fineract-Platform-TenantId": "default"},
    ).raise_for_status()


def only_hold(bench: Bench) -> OpenException:
    (found,) = open_holds(bench.connection)
    return found


def outcome(bench: Bench) -> tuple[str, str | None, str | None]:
    """Status, code and words of the only payment that was posted."""
    row: tuple[str, str | None, str | None] = bench.one(
        'SELECT status, error_code, error_text FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    )
    return row


def accept(bench: Bench) -> None:
    close(bench.connection, only_exception(bench).id, "asha", "it is to be so")


def test_an_undone_repayment_whose_return_was_a_mistake_is_told_and_can_be_posted_again(
    bench: Bench, posted: str
) -> None:
    bench.payment(**RETURN)
    bench.post()
    undo(bench, posted)
    assert differences(bench) == []
    assert closed(bench) == [("returned_after_posting", "look-up", "it was undone in Fineract")]

    bench.payment(**STANDS)
    bench.post()

    assert differences(bench) == [f"{posted}: was undone in the ledger"]
    assert only_hold(bench).kind == "reversed_in_ledger"
    put_back(bench, posted)
    bench.post()
    assert bench.ledger() == [(again(1), "LN-1", "100.00")]
    every_proof_holds(bench)


def test_a_returned_repayment_that_was_to_stay_is_undone_all_the_same_and_nothing_is_asked(
    bench: Bench, posted: str
) -> None:
    bench.payment(**RETURN)
    bench.post()
    accept(bench)
    assert differences(bench) == []

    undo(bench, posted)

    assert differences(bench) == []
    assert outcome(bench)[0] == "undone"
    assert (open_exceptions(bench.connection), open_holds(bench.connection)) == ([], [])


def test_a_return_that_was_taken_back_and_comes_again_is_an_exception_again(
    bench: Bench, posted: str
) -> None:
    for facts in (RETURN, STANDS, RETURN):
        bench.payment(**facts)
        bench.post()

    assert only_exception(bench).kind == "returned_after_posting"
    undo(bench, posted)
    assert differences(bench) == []
    assert open_exceptions(bench.connection) == []


def test_a_difference_that_a_person_accepted_is_told_no_more_until_there_is_a_further_one(
    bench: Bench, posted: str
) -> None:
    enter_by_hand(bench, "by-hand-1")
    (told,) = differences(bench)
    assert "has a twin" in told
    accept(bench)

    assert [differences(bench) for _ in range(2)] == [[], []]
    assert open_exceptions(bench.connection) == []

    enter_by_hand(bench, "by-hand-2")
    (told,) = differences(bench)
    assert "by-hand-2" in told
    undo(bench, posted)
    (told,) = differences(bench)
    assert "was changed in the ledger to" in told


def test_an_open_difference_that_grows_is_brought_up_to_date_and_is_news(
    bench: Bench, posted: str
) -> None:
    enter_by_hand(bench, "by-hand-1")
    differences(bench)
    first = only_exception(bench)
    assert [len(differences(bench)), only_exception(bench).id] == [1, first.id]

    enter_by_hand(bench, "by-hand-2")
    assert len(differences(bench)) == 1

    assert only_exception(bench).id == first.id
    assert only_exception(bench).raised_at > first.raised_at
    assert "by-hand-2" in only_exception(bench).what


def test_an_accepted_loss_that_was_posted_again_and_lost_again_is_told_again(
    bench: Bench, posted: str
) -> None:
    lost = [f"{posted}: is not in the ledger, nor is its loan"]
    bench.connection.execute(
        """UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET loan_external_id = 'LN-GONE'"""
    )
    assert differences(bench) == lost
    accept(bench)
    assert differences(bench) == []
    # As the next posting of it does.
    bench.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET processed_at = clock_timestamp()'
    )

    assert differences(bench) == lost


def test_a_further_difference_is_told_while_an_earlier_one_is_still_open(
    bench: Bench, posted: str
) -> None:
    inbox: list[str] = []

    def tell() -> int:
        def send(_title: str, text: str) -> bool:
            inbox.append(text)
            return True

        return keep(bench.connection, ledger_differences(bench.connection), {"a": send}).sent

    assert tell() == 0
    enter_by_hand(bench, "by-hand-1")
    differences(bench)
    assert [tell(), tell()] == [1, 0]
    enter_by_hand(bench, "by-hand-2")
    differences(bench)
    assert [tell(), tell()] == [1, 0]
    assert "by-hand-2" in inbox[-1]
    accept(bench)
    assert [tell(), tell()] == [1, 0]
    assert inbox[-1].startswith("Over: ledger differs")


@pytest.mark.parametrize(
    ("external_id", "days_before", "is_told"),
    [("c" * 32, 4, True), ("c" * 32, 6, False), ("by hand", 4, False), ("by hand", 0, True)],
)
def test_a_twin_of_another_day_is_told_where_it_may_have_been_posted_from_here_before_a_restore(
    bench: Bench, posted: str, external_id: str, days_before: int, is_told: bool
) -> None:
    enter_by_hand(bench, external_id, days_before)
    of = f" of {DAY - timedelta(days=days_before)}" if days_before else ""
    told = f"{posted}: has a twin of 100.00 rupees on {DAY} that we did not post: {external_id}{of}"
    assert differences(bench) == ([told] if is_told else [])


def test_a_changed_payment_whose_repayment_was_undone_is_held_until_it_is_posted_again(
    bench: Bench, posted: str
) -> None:
    bench.connection.execute(
        """UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = 101, batch = batch + 1"""
    )
    bench.post()
    undo(bench, posted)
    assert differences(bench) == [f"{posted}: was undone in the ledger"]
    bench.post()
    assert bench.ledger() == []
    assert closed(bench)[0] == ("changed_after_posting", "look-up", "it was undone in Fineract")
    assert only_hold(bench).kind == "reversed_in_ledger"
    put_back(bench, posted)
    bench.post()
    assert bench.ledger() == [(again(1), "LN-1", "101.00")]
    assert open_exceptions(bench.connection) == []


def test_our_own_payment_whose_answer_is_still_under_way_is_no_twin(
    bench: Bench, posted: str
) -> None:
    day = DAY - timedelta(days=3)
    other = bench.payment("LN-1", day=day)
    bench.connection.execute(
        """INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
               payment_date, amount, idempotency_key, run_id, worker)
           VALUES (%s, 'ARTHMATE', 'LN-1', %s, 100, 'i', 'r', 1)""",
        (other, day),
    )
    enter_by_hand(bench, other, days_before=3)
    assert differences(bench) == []
