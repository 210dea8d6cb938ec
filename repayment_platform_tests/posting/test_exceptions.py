"""Money that was given back: held before posting, an exception after it, closed when undone."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    NoSuchException,
    close,
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.queue import (
    OpenException,
    open_exceptions,
    open_holds,
)
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting import proof
from repayment_platform_tests.command import Commands
from repayment_platform_tests.posting.conftest import DAY, Bench

REFUND = {"is_success": False, "outcome": "refund", "refunded_amount": Decimal("40.00"),
          "not_repayment_reason": "refunded"}  # fmt: skip
RETURN = {"is_success": False, "outcome": "late_return",
          "not_repayment_reason": "returned after it had been reported as paid"}  # fmt: skip
WITHDRAWN = {"is_success": False, "outcome": "withdrawn"}


def only_exception(bench: Bench) -> OpenException:
    (found,) = open_exceptions(bench.connection)
    return found


def undo_in_fineract(bench: Bench, key: str) -> None:
    bench.sandbox.post(f"undo/{key}")


def look_up(bench: Bench) -> proof.Proof:
    return asyncio.run(ledger_agrees(bench.settings, bench.conninfo, LedgerScope()))


def closed(bench: Bench) -> list[Any]:
    query = 'SELECT kind, closed_by, closed_why FROM "CORE"."CORE_EXCEPTION" '
    query += "WHERE closed_at IS NOT NULL ORDER BY id"
    return bench.connection.execute(query).fetchall()


@pytest.mark.parametrize(
    ("given_back", "code", "reason"),
    [
        (REFUND, "refunded", "40.00 of 100.00 rupees were refunded"),
        (RETURN, "late_return", "returned after it had been reported as paid"),
    ],
)
@pytest.mark.parametrize("listed_before", [True, False])
def test_money_given_back_before_posting_is_held_and_not_posted(
    bench: Bench, given_back: dict[str, Any], code: str, reason: str, listed_before: bool
) -> None:
    bench.loans("LN-1")
    # One that a run lists and does not post, or one that the run would post.
    of = {"lender": "UGRO", "recon_source": "NACH"} if listed_before else {}
    if listed_before:
        bench.payment("LN-1", **of)
        bench.post()
    key = bench.payment("LN-1", **of, **given_back)

    bench.post()

    (hold,) = open_holds(bench.connection)
    assert (hold.source_key, hold.kind, hold.what) == (key, code, reason)
    assert (bench.states(), bench.ledger()) == ({}, [])


def test_a_further_refund_is_told_on_the_hold(bench: Bench) -> None:
    bench.payment("LN-1", **REFUND)
    bench.post()
    bench.payment("LN-1", **REFUND | {"refunded_amount": Decimal("60.00")})
    bench.post()

    (hold,) = open_holds(bench.connection)
    assert hold.what == "60.00 of 100.00 rupees were refunded"


def test_what_a_person_ruled_out_is_not_held_again(bench: Bench) -> None:
    bench.payment("LN-1", **RETURN)
    bench.post()
    (hold,) = open_holds(bench.connection)
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "the bank took it back")
    bench.payment("LN-1", **RETURN)
    bench.post()

    assert open_holds(bench.connection) == []


def test_a_payment_in_doubt_is_no_hold_but_an_exception_once_it_is_found_posted(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", "100.00")
    bench.faults({"kind": "reset_after_commit"}, {"kind": "gateway", "on": "lookup"})
    impatient = {"fineract_patience_seconds": 1}
    bench.post_stopped(fineract_timeout_seconds=0.3, fineract_settle_seconds=0.4, **impatient)
    assert bench.states() == {key: "unknown"}
    bench.payment("LN-1", "100.00", **REFUND)
    bench.faults()

    bench.post()

    assert bench.states() == {key: "success"}
    assert only_exception(bench).kind == "refunded_after_posting"
    assert open_holds(bench.connection) == []


@pytest.mark.parametrize(
    ("change", "kind", "refunded"),
    [
        (REFUND, "refunded_after_posting", "40.00"),
        (RETURN, "returned_after_posting", "100.00"),
        (WITHDRAWN, "withdrawn_after_posting", "0"),
        ({"loan_external_id": "LN-2"}, "changed_after_posting", "0"),
        ({"payment_date": DAY.replace(day=1)}, "changed_after_posting", "0"),
    ],
)
def test_what_changes_after_posting_becomes_an_exception_that_names_the_repayment_to_undo(
    bench: Bench, change: dict[str, Any], kind: str, refunded: str
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", "100.00")
    bench.post()
    bench.payment("LN-1", "100.00", **change)
    if kind == "changed_after_posting":
        bench.connection.execute('UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = 90')

    bench.post()

    found = only_exception(bench)
    (transaction,) = bench.one(
        'SELECT fineract_transaction_id FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    )
    assert (found.source_key, found.kind, found.lender) == (key, kind, "ARTHMATE")
    named = {n: found.detail[n] for n in ("fineract_transaction_id", "loan", "amount", "date")}
    assert named == {
        "fineract_transaction_id": transaction,
        "loan": "LN-1",
        "amount": 100.0,
        "date": DAY.isoformat(),
    }
    assert Decimal(str(found.detail["refunded"])) == Decimal(refunded)
    assert f"repayment {transaction} of loan LN-1, 100.00 rupees" in found.what
    assert len(bench.ledger()) == 1


@pytest.mark.parametrize(
    ("payment_ref", "days_later", "is_told"),
    [
        (None, 5, False),
        (None, -5, False),
        (None, 6, True),
        ("nach-arthmate:1", 5, False),
        ("nach-arthmate:1", -6, True),
        ("razorpay:pay_1", 1, False),
        ("razorpay:pay_1", 6, True),
        ("cashfree:1", -1, True),
        ("cashfree-order:CFPay_1", 1, True),
    ],
)
def test_a_day_that_is_known_better_later_is_told_of_cashfrees_payments_or_far_away(
    bench: Bench, payment_ref: str | None, days_later: int, is_told: bool
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", payment_ref=payment_ref)
    bench.post()
    known = {"source_key": key, "payment_ref": payment_ref}
    bench.payment("LN-1", **known, payment_date=DAY + timedelta(days_later))
    bench.post()
    kinds = [found.kind for found in open_exceptions(bench.connection)]
    assert kinds == ["changed_after_posting"] * is_told

    bench.payment("LN-1", **known)
    bench.post()
    assert open_exceptions(bench.connection) == []


def test_an_exception_closes_by_itself_when_the_ledger_shows_the_repayment_undone(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    bench.payment("LN-1", **RETURN)
    bench.post()
    assert look_up(bench).holds
    assert only_exception(bench).kind == "returned_after_posting"

    undo_in_fineract(bench, key)

    assert look_up(bench).findings == []
    assert closed(bench) == [("returned_after_posting", "look-up", "it was undone in Fineract")]
    assert look_up(bench).holds
    bench.post()
    assert open_exceptions(bench.connection) == []


def test_a_repayment_undone_before_its_return_is_known_is_settled_with_it(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    undo_in_fineract(bench, key)
    assert not look_up(bench).holds
    bench.payment("LN-1", **RETURN)
    bench.post()

    assert look_up(bench).holds
    assert open_exceptions(bench.connection) == []
    assert [kind for kind, *_ in closed(bench)] == ["reversed_in_ledger"]


def test_old_exceptions_are_looked_up_a_few_at_a_time_the_longest_unasked_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in {"UNCHECKED": 0, "RECENT": 0, "EXCEPTIONS_LOOKED_UP": 2}.items():
        monkeypatch.setattr(f"repayment_platform.ledger.scope.{name}", number)
    loans = [f"LN-{n}" for n in range(5)]
    bench.loans(*loans)
    keys = [bench.payment(loan) for loan in loans]
    bench.post()
    for loan in loans:
        bench.payment(loan, **RETURN)
    bench.post()

    asked = 'SELECT count(*) FROM "CORE"."CORE_EXCEPTION" WHERE looked_at IS NOT NULL'
    for many in (2, 4, 5):
        look_up(bench)
        assert bench.one(asked) == (many,)
    for key in keys:
        undo_in_fineract(bench, key)
    assert [look_up(bench).checked for _ in range(4)] == [2, 2, 1, 0]
    assert open_exceptions(bench.connection) == []


def test_a_person_closes_an_exception_and_it_comes_back_only_with_news(bench: Bench) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1", "100.00")
    bench.post()
    bench.payment("LN-1", "100.00", **REFUND)
    bench.post()
    number = only_exception(bench).id

    close(bench.connection, number, "asha", "repaid to the borrower outside the loan")
    bench.payment("LN-1", "100.00", **REFUND)
    bench.post()
    assert open_exceptions(bench.connection) == []
    with pytest.raises(NoSuchException):
        close(bench.connection, number, "asha", "again")
    assert bench.one('SELECT who, action FROM "CORE"."CORE_AUDIT_LOG"') == (
        "asha",
        "exception.close",
    )

    bench.payment("LN-1", "100.00", **REFUND | {"refunded_amount": Decimal("100.00")})
    bench.post()
    assert "is to be undone: refunded" in only_exception(bench).what


def test_an_exception_closes_when_core_has_the_payment_again_as_it_was_posted(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1")
    bench.post()
    bench.payment("LN-1", **WITHDRAWN)
    bench.post()
    bench.payment("LN-1", is_success=True, outcome="success")
    bench.post()

    assert closed(bench) == [("withdrawn_after_posting", "CORE", "it is again as it was posted")]


@pytest.mark.parametrize("payment_ref", [None, "nach:1"])
def test_a_return_of_no_known_payment_is_an_exception_until_it_finds_one(
    bench: Bench, payment_ref: str | None
) -> None:
    key = bench.payment("LN-1", key_rule="provisional", payment_ref=payment_ref, **RETURN)
    bench.post()

    found = only_exception(bench)
    assert (found.source_key, found.kind) == (key, "return_without_payment")
    assert "100.00 rupees" in found.what
    assert open_holds(bench.connection) == []
    bench.connection.execute(
        'DELETE FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s', (key,)
    )
    bench.post()
    assert closed(bench) == [("return_without_payment", "CORE", "its payment was found")]


def test_the_commands_list_and_close_exceptions(bench: Bench, run: Commands) -> None:
    bench.payment("LN-1", **{"key_rule": "provisional", **RETURN})
    bench.post()

    assert "return_without_payment" in run("exceptions").stdout
    number = str(only_exception(bench).id)
    assert run("close-exception", number, "--why", "seen").code == 0
    assert "none open" in run("exceptions").stdout
    again = run("close-exception", number, "--why", "seen")
    assert (again.code, again.complaint) == (
        1,
        f"close-exception: there is no open exception {number}\n",
    )
