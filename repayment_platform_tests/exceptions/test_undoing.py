"""A posting that the ledger shows reversed is undone, wherever it is told."""

import asyncio
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import NeedsRepost, NotOfItsKind, close, decide
from repayment_platform.exceptions.kinds import Decision, Right
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.queue import OpenException, open_exceptions, open_holds
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.feed import READ_ANEW
from repayment_platform.posting.proof import nothing_recorded_twice, nothing_unaccounted
from repayment_platform.posting.report import state_counts
from repayment_platform_tests.exceptions.conftest import Bench
from repayment_platform_tests.posting.test_exceptions import REFUND, RETURN, WITHDRAWN
from repayment_platform_tests.posting.test_reposting import fineract_down
from repayment_platform_tests.posting.undone import (
    adjust,
    again,
    differences,
    ids_in_ledger,
    payment,
    post_again,
    put_back,
    some_time_passes,
    undo,
)

STANDS = {"is_success": True, "outcome": "success", "not_repayment_reason": None}
RETURNED_IN_WHOLE = RETURN | {"refunded_amount": Decimal("100.00")}
REFUNDED_IN_WHOLE = REFUND | {"refunded_amount": Decimal("100.00")}
ANTI_JOIN = """
SELECT t.source_key FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
       ON t.source_key = p.source_key AND p.status = 'success'
WHERE t.is_success AND t.loan_external_id IS NOT NULL AND p.source_key IS NULL
"""


@pytest.fixture
def posted(bench: Bench) -> str:
    """A payment that was posted some time ago."""
    bench.loans("LN-1", "LN-2")
    key = payment(bench)
    bench.post()
    some_time_passes(bench)
    return key


def only_hold(bench: Bench) -> OpenException:
    (found,) = open_holds(bench.connection)
    return found


def asked(bench: Bench) -> list[str]:
    """The kinds of all that is open."""
    found = [*open_holds(bench.connection), *open_exceptions(bench.connection)]
    return [question.kind for question in found]


def outcome(bench: Bench, key: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = bench.one(
        """SELECT status, error_code, error_text
           FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE source_key = %s""",
        key,
    )
    return row


def found_in_turn(bench: Bench) -> list[str]:
    """What the comparison of the night finds."""
    scope = LedgerScope(in_turn=True)
    return asyncio.run(ledger_agrees(bench.settings, bench.conninfo, scope)).findings


def open_work(bench: Bench) -> list[tuple[str, str, str]]:
    query = 'SELECT source_key, state, reason FROM "CORE"."CORE_OPEN_WORK" ORDER BY 1'
    return bench.connection.execute(query).fetchall()


def every_payment_is_somewhere(bench: Bench) -> None:
    assert nothing_recorded_twice(bench.conninfo).findings == []
    assert nothing_unaccounted(bench.conninfo).findings == []
    missing = {key for (key,) in bench.connection.execute(ANTI_JOIN)}
    assert missing == {key for key, _, _ in open_work(bench)}


def test_what_the_ledger_has_reversed_is_undone_and_held_at_once(bench: Bench, posted: str) -> None:
    undo(bench, posted)

    assert differences(bench) == [f"{posted}: was undone in the ledger"]

    words = "was undone in the ledger"
    assert outcome(bench, posted) == ("undone", "reversed_in_ledger", words)
    assert open_work(bench) == [(posted, "held", words)]
    assert bench.one(
        """SELECT outcome, undone_at IS NOT NULL, p.fineract_transaction_id = a.resource_id
           FROM "CORE"."CORE_POSTING_ATTEMPT" a
           JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)"""
    ) == ("success", True, True)
    assert (only_hold(bench).kind, only_hold(bench).what) == ("reversed_in_ledger", words)
    every_payment_is_somewhere(bench)
    bench.post()
    assert bench.ledger() == []
    assert differences(bench) == [f"{posted}: was undone in the ledger"]
    every_payment_is_somewhere(bench)


def test_what_a_look_up_in_the_run_finds_reversed_is_undone_too(bench: Bench) -> None:
    bench.loans("LN-1")
    key = payment(bench)
    bench.faults({"kind": "reset_after_commit", "times": 1}, {"kind": "operator_undo", "times": 1})
    bench.post()
    bench.faults()

    assert outcome(bench, key)[:2] == ("undone", "reversed_in_ledger")
    assert bench.one(
        """SELECT outcome, error_code, undone_at IS NOT NULL, resource_id IS NOT NULL
           FROM "CORE"."CORE_POSTING_ATTEMPT" """
    ) == ("held", "reversed_in_ledger", True, True)
    assert only_hold(bench).kind == "reversed_in_ledger"
    number = only_hold(bench).id
    assert differences(bench) == [f"{key}: was undone in the ledger"]
    assert only_hold(bench).id == number
    every_payment_is_somewhere(bench)


def test_another_payment_with_its_reference_is_posted_after_the_undoing(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    reference = {"payment_ref": "razorpay:pay_1"}
    first = payment(bench, "LN-1", **reference)
    bench.post()
    second = bench.payment("LN-2", **reference)
    bench.post()
    assert [hold.kind for hold in open_holds(bench.connection)] == ["posted_elsewhere"]

    undo(bench, first)
    differences(bench)

    assert [(q.source_key, q.kind) for q in open_holds(bench.connection)] == [
        (first, "reversed_in_ledger")
    ]
    bench.post()
    assert bench.ledger() == [(second, "LN-2", "100.00")]
    bench.post()
    kinds = {(hold.source_key, hold.kind) for hold in open_holds(bench.connection)}
    assert kinds == {(first, "reversed_in_ledger"), (first, "posted_elsewhere")}
    every_payment_is_somewhere(bench)


@pytest.mark.parametrize("given_back", [RETURNED_IN_WHOLE, REFUNDED_IN_WHOLE, RETURN, WITHDRAWN])
def test_of_what_was_given_back_and_undone_nothing_is_asked(
    bench: Bench, posted: str, given_back: dict[str, Any]
) -> None:
    bench.payment(**given_back)
    bench.post()
    undo(bench, posted)

    assert differences(bench) == []

    assert outcome(bench, posted)[0] == "undone"
    assert (asked(bench), open_work(bench)) == ([], [])
    decided = 'SELECT decision, closed_by FROM "CORE"."CORE_EXCEPTION"'
    assert bench.connection.execute(decided).fetchall() == [("undone", "look-up")]
    bench.post()
    assert (asked(bench), open_work(bench)) == ([], [])

    bench.payment(**STANDS)  # a dispute that was won
    bench.post()

    assert asked(bench) == ["reversed_in_ledger"]
    assert bench.states() == {posted: "held"}
    every_payment_is_somewhere(bench)


def test_what_is_left_of_an_undone_repayment_is_asked_about(bench: Bench, posted: str) -> None:
    bench.payment(**REFUND)
    bench.post()
    undo(bench, posted)

    what = "was undone in the ledger"
    assert differences(bench) == [f"{posted}: {what}"]
    (found,) = open_exceptions(bench.connection)
    assert (found.kind, found.what) == (
        "reversed_in_ledger",
        f"{what}; 40.00 of 100.00 rupees were refunded",
    )
    assert open_work(bench) == []
    put_back(bench, posted)
    bench.payment(**REFUND)  # as dbt folds it again
    bench.post()
    assert asked(bench) == ["refunded"]


@pytest.mark.parametrize("given_back", [RETURNED_IN_WHOLE, WITHDRAWN])
def test_money_that_was_given_back_and_stands_changed_is_told_and_may_stay(
    bench: Bench, posted: str, given_back: dict[str, Any]
) -> None:
    bench.payment(**given_back)
    bench.post()
    number = adjust(bench, posted, 60)

    what = f"was changed in the ledger to 60.00 (transaction {number})"
    assert differences(bench) == [f"{posted}: {what}"]
    (found,) = open_exceptions(bench.connection)
    assert (found.kind, found.what, open_work(bench)) == ("reversed_in_ledger", what, [])
    close(bench.connection, found.id, "asha", "a fee was kept")
    bench.post()
    assert (differences(bench), asked(bench)) == ([], [])

    bench.payment(**STANDS)
    bench.post()
    assert only_hold(bench).kind == "reversed_in_ledger"
    bench.post()
    assert len(bench.ledger()) == 1


def test_another_change_asks_anew(bench: Bench, posted: str) -> None:
    number = adjust(bench, posted, 60, externalId="by hand")
    differences(bench)
    hold = only_hold(bench)
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "the change is right")
    bench.payment(is_success=False)  # as dbt folds it again
    bench.post()
    assert (differences(bench), asked(bench)) == ([], [])

    other = adjust(bench, "by hand", 70)

    what = f"was changed in the ledger to 70.00 (transaction {other})"
    assert found_in_turn(bench) == [f"{posted}: {what}"]
    (found,) = open_exceptions(bench.connection)
    assert found.what == f"changed since it was ruled no repayment: {what}"
    assert other != number


@pytest.mark.parametrize("ruling", [Decision.NOT_A_REPAYMENT, Decision.SAME_PAYMENT])
def test_ruled_out_it_leaves_the_open_work_and_stays_undone_and_is_asked_no_more(
    bench: Bench, posted: str, ruling: Decision
) -> None:
    undo(bench, posted)
    differences(bench)
    hold = only_hold(bench)
    with pytest.raises(NeedsRepost):
        decide(bench.connection, hold.id, Decision.REPOST, "asha", "again")
    with pytest.raises(NotOfItsKind):
        decide(bench.connection, hold.id, Decision.LEAVE, "asha", "so")

    decide(bench.connection, hold.id, ruling, "asha", "it is right", right=Right.OPERATOR)
    bench.post()
    assert bench.states() == {posted: "held"}
    every_payment_is_somewhere(bench)
    assert bench.one('SELECT source_key FROM "CORE"."CORE_REFOLD"') == (posted,)
    bench.payment(is_success=False)  # as dbt folds it again
    bench.post()

    assert (open_work(bench), asked(bench), differences(bench)) == ([], [], [])
    assert outcome(bench, posted)[0] == "undone"
    assert "no repayment any more" in str(post_again(bench, posted))
    every_payment_is_somewhere(bench)


def test_ruled_out_by_mistake_it_is_held_by_hand_and_asked_again(bench: Bench, posted: str) -> None:
    from repayment_platform.exceptions.decisions import hold as hold_by_hand

    undo(bench, posted)
    differences(bench)
    number = only_hold(bench).id
    decide(bench.connection, number, Decision.NOT_A_REPAYMENT, "asha", "by mistake")
    bench.payment(is_success=False)
    bench.post()
    hold_by_hand(bench.connection, posted, "asha", "it is one after all")
    decide(bench.connection, only_hold(bench).id, Decision.RELEASE, "asha", "it is one")
    bench.payment(is_success=True)
    bench.post()

    assert asked(bench) == ["reversed_in_ledger"]
    assert bench.ledger() == []
    put_back(bench, posted)
    bench.post()
    assert bench.ledger() == [(again(1), "LN-1", "100.00")]
    assert asked(bench) == []


def test_a_changed_payment_that_is_undone_is_posted_anew_in_its_present_facts(
    bench: Bench, posted: str
) -> None:
    bench.payment(source_key=posted, loan_external_id="LN-2", amount=Decimal("60.00"))
    bench.post()
    assert asked(bench) == ["changed_after_posting"]
    undo(bench, posted)
    differences(bench)
    assert asked(bench) == ["reversed_in_ledger"]
    every_payment_is_somewhere(bench)

    put_back(bench, posted)
    bench.post()

    assert bench.ledger() == [(again(1), "LN-2", "60.00")]
    assert asked(bench) == []
    every_payment_is_somewhere(bench)


def test_no_run_sends_what_is_undone_whatever_sql_says_of_its_hold(
    bench: Bench, posted: str
) -> None:
    undo(bench, posted)
    differences(bench)
    bench.connection.execute(
        """UPDATE "CORE"."CORE_HOLD" SET decision = 'release', decided_by = 'sql'"""
    )
    bench.connection.execute("""UPDATE "CORE"."CORE_OPEN_WORK" SET state = 'waiting'""")
    before = len(bench.posts())

    bench.post()

    assert len(bench.posts()) == before
    assert asked(bench) == ["reversed_in_ledger"]
    assert bench.states() == {posted: "held"}


def test_a_list_of_open_work_that_is_made_anew_holds_what_is_undone(
    bench: Bench, posted: str
) -> None:
    undo(bench, posted)
    differences(bench)
    bench.connection.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')
    bench.connection.execute(READ_ANEW)
    bench.post()
    assert bench.states() == {posted: "held"}
    assert bench.ledger() == []


def test_what_stands_again_in_a_restored_ledger_is_posted_again(
    bench: Bench, posted: str, tmp_path: Path
) -> None:
    with fineract_down(bench) as books:
        for file in books:
            shutil.copy(file, tmp_path)
    undo(bench, posted)
    differences(bench)
    assert bench.states() == {posted: "held"}
    with fineract_down(bench) as books:
        for file in books:
            file.unlink()
        for file in tmp_path.glob("sandbox.sqlite*"):
            shutil.copy(file, bench.settings.home)
    assert ids_in_ledger(bench) == {posted: True}

    assert differences(bench) == []

    assert outcome(bench, posted) == ("success", None, None)
    assert (asked(bench), open_work(bench)) == ([], [])
    assert bench.one('SELECT undone_at FROM "CORE"."CORE_POSTING_ATTEMPT"') == (None,)
    every_payment_is_somewhere(bench)


def test_posted_again_under_the_same_number_and_undone_again_it_is_asked_anew(
    bench: Bench, tmp_path: Path
) -> None:
    """A Fineract that was restored gives the numbers again that it gave after its backup."""
    bench.loans("LN-1")
    with fineract_down(bench) as books:
        for file in books:
            shutil.copy(file, tmp_path)
    key = payment(bench)
    bench.post()
    some_time_passes(bench)
    undo(bench, key)
    differences(bench)
    with fineract_down(bench) as books:
        for file in books:
            file.unlink()
        for file in tmp_path.glob("sandbox.sqlite*"):
            shutil.copy(file, bench.settings.home)
    put_back(bench, key)
    bench.post()
    assert bench.ledger() == [(key, "LN-1", "100.00")]

    undo(bench, key)

    assert differences(bench) == [f"{key}: was undone in the ledger"]
    assert asked(bench) == ["reversed_in_ledger"]
    bench.post()
    assert bench.states() == {key: "held"}


def test_what_stands_again_beside_another_of_its_reference_is_a_finding(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    reference = {"payment_ref": "razorpay:pay_1"}
    first = payment(bench, "LN-1", **reference)
    bench.post()
    bench.connection.execute(
        """UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET status = 'undone',
               error_code = 'reversed_in_ledger', error_text = 'was undone in the ledger';
           UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET undone_at = now()"""
    )
    bench.payment("LN-2", **reference)
    bench.post()
    assert len(bench.ledger()) == 2

    assert found_in_turn(bench) == [
        f"{first}: stands in the ledger again, and its reference is posted under another key"
    ]
    assert outcome(bench, first)[0] == "undone"


def test_every_payment_counts_once_and_what_is_posted_adds_up_to_the_ledger(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2", "LN-3", "LN-4")
    undone, returned = payment(bench, "LN-1"), payment(bench, "LN-2")
    bench.payment("LN-3", "70.00")
    bench.payment("LN-MISSING")
    bench.post()
    for columns in (
        {"loan_external_id": None},
        RETURN,
        REFUND,
        {"is_success": False, "outcome": "failed"},
        RETURN | {"key_rule": "provisional"},
    ):
        bench.payment("LN-4", n=str(columns), **columns)
    bench.corrected(returned, **RETURN)
    bench.post()
    undo(bench, undone)
    undo(bench, returned)
    differences(bench)

    counts = state_counts(bench.connection)

    assert (
        sum(line.payments for line in counts)
        == bench.one('SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA"')[0]
    )
    by_state = dict.fromkeys(sorted({line.state for line in counts}), 0)
    for line in counts:
        by_state[line.state] += line.payments
    assert by_state == {
        "failed": 1, "given_back": 2, "loan_unknown": 1, "no_repayment": 2, "success": 1,
        "undone": 2,
    }  # fmt: skip
    ours = sum(line.rupees for line in counts if line.state == "success")
    assert ours == sum(Decimal(amount) for _, _, amount in bench.ledger()) == Decimal("70.00")
    reasons = {line.reason for line in counts if line.state == "undone"}
    assert reasons == {
        "reversed in the ledger, and to be decided",
        "reversed in the ledger, as is right",
    }
