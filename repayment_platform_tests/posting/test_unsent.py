"""After a restore: what no run sends, and stands in Fineract, is found all the same."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import NotOfItsKind, decide
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import open_holds, open_questions
from repayment_platform.posting.model import Selection
from repayment_platform.posting.proof import nothing_recorded_twice, nothing_unaccounted
from repayment_platform.posting.runner import inspect_queue
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench
from repayment_platform_tests.posting.test_same_payment import ruled_same
from repayment_platform_tests.posting.undone import adjust, undo

GB = Selection(("GB",), recon_keys=())
REFUND: dict[str, Any] = {
    "is_success": False,
    "outcome": "refund",
    "refunded_amount": Decimal("40.00"),
}
RETURN: dict[str, Any] = {"is_success": False, "outcome": "late_return"}
WITHDRAWN: dict[str, Any] = {"is_success": False, "outcome": "withdrawn"}
RULED_OUT: dict[str, Any] = {
    "is_success": False,
    "not_repayment_reason": "an operator says: same payment",
}
OF_GB: dict[str, Any] = {"lender": "GB", "recon_source": "CASHFREE"}


def restored_to_before_all_postings(bench: Bench) -> None:
    """As the owner of the tables may: nothing is known any more of what was posted and asked."""
    for table in (
        "CORE_POSTING_ATTEMPT",
        "CORE_TRANSACTION_DATA_PROCESSED",
        "CORE_OPEN_WORK",
        "CORE_EXCEPTION",
        "CORE_LEDGER_ANSWER",
    ):
        bench.connection.execute(f'DELETE FROM "CORE"."{table}"'.encode())


def in_another_incarnation(bench: Bench) -> None:
    """What was answered came back with a restore."""
    bench.connection.execute("""UPDATE "CORE"."CORE_LEDGER_ANSWER" SET incarnation = 'former'""")


def asked(bench: Bench) -> list[tuple[str, str | None]]:
    return [(question.kind, question.source_key) for question in open_questions(bench.connection)]


def look_ups(bench: Bench) -> int:
    return sum(request["operation"] == "lookup" for request in bench.requests())


def answer(bench: Bench) -> Any:
    return bench.one('SELECT answer, words FROM "CORE"."CORE_LEDGER_ANSWER"')


def all_is_right(bench: Bench) -> bool:
    twice, left = nothing_recorded_twice(bench.conninfo), nothing_unaccounted(bench.conninfo)
    return not twice.findings and not left.findings


@pytest.mark.parametrize("of", [{}, OF_GB], ids=["automated", "reconciled"])
@pytest.mark.parametrize(
    ("given_back", "kind"),
    [
        (REFUND, "refunded_after_posting"),
        (RETURN, "returned_after_posting"),
        (WITHDRAWN, "withdrawn_after_posting"),
        (RULED_OUT, "withdrawn_after_posting"),
    ],
)
def test_what_was_posted_and_is_not_sent_any_more_is_a_posted_payment(
    bench: Bench, of: dict[str, Any], given_back: dict[str, Any], kind: str
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", **of)
    bench.post(Selection(("GB",), recon_keys=(key,)) if of else AUTOMATED)
    ledger = bench.sandbox.get("ledger")
    restored_to_before_all_postings(bench)
    bench.payment("LN-1", **of, **given_back)

    bench.post()

    assert asked(bench) == [(kind, key)]
    assert (bench.states(), bench.sandbox.get("ledger")) == ({key: "success"}, ledger)
    number, run, recon_source = bench.one(
        "SELECT fineract_transaction_id, run_id, recon_source "
        'FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    )
    assert (number, run) == (ledger[0]["resourceId"], "look-up")
    assert recon_source == of.get("recon_source")
    asked_so_far = look_ups(bench)
    bench.post()
    assert (look_ups(bench), all_is_right(bench)) == (asked_so_far, True)


@pytest.mark.parametrize(("given_back", "kind"), [(REFUND, "refunded"), (RETURN, "late_return")])
@pytest.mark.parametrize("loan_is_known", [True, False])
def test_what_fineract_does_not_have_is_held_as_before_and_asked_about_once(
    bench: Bench, given_back: dict[str, Any], kind: str, *, loan_is_known: bool
) -> None:
    if loan_is_known:
        bench.loans("LN-1")
    key = bench.payment("LN-1", **given_back)
    for _ in range(2):
        bench.post()
        assert asked(bench) == [(kind, key)]
    said = "not in the ledger" if loan_is_known else "Fineract has no such loan"
    assert (answer(bench), look_ups(bench)) == (("absent", said), 1)
    (hold,) = open_holds(bench.connection)
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "it was refunded")
    bench.corrected(key, not_repayment_reason="an operator says: not a repayment")
    bench.post()
    assert (asked(bench), look_ups(bench), bench.ledger()) == ([], 1, [])


def test_while_fineract_is_away_it_is_told_that_it_is_asked_first(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    restored_to_before_all_postings(bench)
    bench.payment("LN-1", **REFUND)
    bench.faults({"kind": "gateway", "on": "any"})

    bench.post(fineract_patience_seconds=1)
    for _ in range(2):
        (question,) = open_questions(bench.connection)
        assert (question.kind, question.source_key, question.holds) == ("asked_first", key, True)
        assert "Fineract is asked first" in question.what
        with pytest.raises(NotOfItsKind, match="asks Fineract first"):
            decide(bench.connection, question.id, Decision.NOT_A_REPAYMENT, "asha", "refunded")
        bench.post(fineract_patience_seconds=1)

    bench.faults()
    bench.post()
    assert asked(bench) == [("refunded_after_posting", key)]


def test_a_dry_run_asks_nothing_and_keeps_nothing(bench: Bench) -> None:
    bench.payment("LN-1", **REFUND)
    inspect_queue(bench.conninfo, AUTOMATED, "dry")
    assert (asked(bench), look_ups(bench), answer(bench)) == ([], 0, None)


def test_an_answer_that_came_back_with_a_restore_is_asked_for_again(bench: Bench) -> None:
    """The backup is of after the answer and the ruling; the posting after it is forgotten."""
    bench.loans("LN-1")
    key = bench.payment("LN-1", **REFUND)
    bench.post()
    (hold,) = open_holds(bench.connection)
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "it was refunded")
    said = answer(bench)
    # Later its release was asked for after all.
    bench.payment("LN-1")
    bench.connection.execute('DELETE FROM "CORE"."CORE_LEDGER_ANSWER"')
    bench.connection.execute('DELETE FROM "CORE"."CORE_EXCEPTION"')
    bench.post()
    assert bench.states() == {key: "success"}
    restored_to_before_all_postings(bench)
    bench.payment("LN-1", **REFUND, not_repayment_reason="an operator says: not a repayment")
    bench.absent(key)
    assert said == answer(bench)
    bench.post()  # the database does not know that it was restored
    in_another_incarnation(bench)

    bench.post()

    assert asked(bench) == [("refunded_after_posting", key)]


def test_an_open_question_stays_and_is_decided_only_when_fineract_was_asked_again(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", **REFUND)
    bench.post()
    (hold,) = open_holds(bench.connection)
    in_another_incarnation(bench)
    for never in (Decision.NOT_A_REPAYMENT, Decision.SAME_PAYMENT):
        with pytest.raises(NotOfItsKind, match="asks Fineract first"):
            decide(bench.connection, hold.id, never, "asha", "refunded")

    bench.faults({"kind": "gateway", "on": "any"})
    bench.post(fineract_patience_seconds=1)
    assert sorted(asked(bench)) == [("asked_first", key), ("refunded", key)]
    bench.faults()
    bench.post()
    assert open_questions(bench.connection) == [hold]
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "refunded")


def test_one_that_stands_there_otherwise_is_asked_about_until_fineract_is_put_right(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    restored_to_before_all_postings(bench)
    bench.payment("LN-1", **REFUND)
    bench.corrected(key, payment_date=DAY - timedelta(days=1), amount=Decimal("90.00"))
    for _ in range(2):
        bench.post()
        (hold,) = open_holds(bench.connection)
        assert hold.kind == "ledger_differs"
        assert hold.what.endswith(
            "amount is 100.000000 there and 90.00 here; "
            "date is 2025-11-20 there and 2025-11-19 here"
        )
        decide(bench.connection, hold.id, Decision.RELEASE, "asha", "put right there")
    undo(bench, key)
    bench.post()
    assert asked(bench) == [("refunded", key)]
    assert answer(bench) == ("undone", "it was posted and undone in Fineract")


def test_one_that_was_changed_there_is_told(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    changed = adjust(bench, key, 95.0)
    restored_to_before_all_postings(bench)
    bench.payment("LN-1", **RETURN)
    bench.post()
    (hold,) = open_holds(bench.connection)
    assert (hold.kind, hold.source_key) == ("ledger_differs", key)
    assert hold.what == (f"it was posted, and changed in Fineract to 95.00 (transaction {changed})")


def test_money_that_another_report_gives_back_is_asked_about_before_the_payment_is_sent(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    restored_to_before_all_postings(bench)
    bench.payment("LN-1")
    same = ruled_same(bench, 1, key)
    bench.payment("LN-1", n="#1", **RULED_OUT | REFUND)
    bench.faults({"kind": "gateway", "on": "lookup"})
    bench.post_stopped(fineract_patience_seconds=1)
    assert sorted(asked(bench)) == sorted([("asked_first", key), ("asked_first", same)])
    assert bench.states() == {key: "held"}
    bench.faults()
    bench.post()
    assert asked(bench) == [("refunded_after_posting", key)]
    assert bench.states() == {key: "success"}


def test_one_whose_reference_is_posted_under_another_key_is_told(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    key = bench.payment("LN-1", payment_ref="razorpay:pay_1")
    bench.post()
    restored_to_before_all_postings(bench)
    bench.payment("LN-1", payment_ref="razorpay:pay_1", **REFUND)
    other = bench.payment("LN-2", payment_ref="razorpay:pay_1")
    bench.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET batch = 0 WHERE source_key = %s', (key,)
    )
    bench.post()
    bench.corrected(key)
    bench.post()
    (hold,) = open_holds(bench.connection)
    assert (hold.kind, hold.source_key, bench.states()) == (
        "ledger_differs",
        key,
        {other: "success"},
    )
    assert "another payment with its reference is posted" in hold.what
