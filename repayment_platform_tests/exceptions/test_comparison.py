"""The comparison of what the facts call for with what is open."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from repayment_platform.exceptions.comparison import compare
from repayment_platform.exceptions.decisions import (
    Decision,
    NoSuchException,
    NotOfItsKind,
    close,
    decide,
)
from repayment_platform.exceptions.kinds import Right
from repayment_platform.exceptions.queue import (
    OpenException,
    open_questions,
)
from repayment_platform.posting.guards import set_guards
from repayment_platform_tests.exceptions.conftest import Bench
from repayment_platform_tests.posting.conftest import DAY
from repayment_platform_tests.posting.test_same_payment import pause, ruled_same

REFUND: dict[str, Any] = {
    "is_success": False,
    "outcome": "refund",
    "refunded_amount": Decimal("40.00"),
}
UNKNOWN: dict[str, Any] = {
    "is_success": False,
    "outcome": "unknown_event",
    "not_repayment_reason": "an event that is not known",
}


def asked(bench: Bench, *keys: str) -> list[OpenException]:
    compare(bench.connection, keys)
    return open_questions(bench.connection)


@pytest.mark.parametrize(
    ("facts", "kind", "holds"),
    [
        (REFUND, "refunded", True),
        (REFUND | {"outcome": "late_return"}, "late_return", True),
        ({"conflict": "on 2025-11-20 90.00 rupees for loan LN-1"}, "conflicting_reports", True),
        (REFUND | {"key_rule": "provisional"}, "return_without_payment", False),
        (UNKNOWN, "no_repayment", False),
        (UNKNOWN | {"outcome": "success", "key_rule": "provisional",
                    "not_repayment_reason": "its day is missing or unreadable"},
         "unreadable_payment", False),
    ],
)  # fmt: skip
def test_what_the_facts_of_a_payment_call_for_opens_once_and_closes_by_itself(
    bench: Bench, facts: dict[str, Any], kind: str, *, holds: bool
) -> None:
    key = bench.payment("LN-1", **facts)
    bench.absent(key)

    (question,) = asked(bench, key)
    assert (question.kind, question.holds, question.source_key) == (kind, holds, key)
    assert asked(bench, key) == [question]

    bench.corrected(key, is_success=True, outcome="success", conflict=None, key_rule="new")
    assert asked(bench, key) == []
    assert bench.one('SELECT decision, closed_by FROM "CORE"."CORE_EXCEPTION"') == ("gone", "CORE")


def test_a_ruling_stands_while_its_facts_do_and_is_asked_anew_with_both(bench: Bench) -> None:
    key = bench.payment("LN-1", **REFUND)
    bench.absent(key)
    (question,) = asked(bench, key)
    decide(bench.connection, question.id, Decision.RELEASE, "asha", "a discount")
    assert asked(bench, key) == []

    bench.corrected(key, refunded_amount=Decimal("60.00"))
    (again,) = asked(bench, key)
    assert again.what.startswith("changed since it was released: 60.00")
    assert again.detail["before"]["why"] == "a discount"
    assert again.detail["before"]["facts"]["refunded"] == 40

    bench.corrected(key, refunded_amount=Decimal("40.00"))
    assert asked(bench, key) == []


def test_a_limit_asks_and_a_higher_one_answers(bench: Bench) -> None:
    key = bench.payment("LN-1", "100.00")
    set_guards(bench.connection, "ARTHMATE", {"max_payment": Decimal(50)}, "asha")
    assert [question.kind for question in asked(bench, key)] == ["over_limit"]
    set_guards(bench.connection, "ARTHMATE", {"max_payment": Decimal(500)}, "asha")
    assert asked(bench, key) == []


def test_an_operator_does_not_release_what_was_given_back(bench: Bench) -> None:
    key = bench.payment("LN-1", **REFUND)
    bench.absent(key)
    (question,) = asked(bench, key)
    decision = (question.id, Decision.RELEASE, "asha", "a discount", question.seen)
    with pytest.raises(NotOfItsKind, match="only an approver"):
        decide(bench.connection, *decision, right=Right.OPERATOR)
    with pytest.raises(NotOfItsKind, match="one decides"):
        decide(bench.connection, question.id, Decision.LEAVE, "asha", "so", question.seen)
    assert asked(bench, key) == [question]
    decide(bench.connection, *decision)
    assert asked(bench, key) == []


def test_what_holds_a_payment_is_not_left_as_it_is(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", conflict="on 2025-11-20 100.00 and 120.00")
    (question,) = asked(bench, key)
    with pytest.raises(NoSuchException, match="to be decided"):
        close(bench.connection, question.id, "asha", "leave it")
    with pytest.raises(NotOfItsKind):
        decide(bench.connection, question.id, Decision.LEAVE, "asha", "so", question.seen)
    bench.post()
    assert bench.ledger() == []


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE "CORE"."CORE_EXCEPTION" SET closed_at = now(), closed_by = 'ravi'""",
        """UPDATE "CORE"."CORE_HOLD" SET decided_at = now(), decided_by = 'ravi'""",
    ],
)
def test_sql_that_closes_a_hold_without_a_decision_is_refused(bench: Bench, statement: str) -> None:
    key = bench.payment("LN-1", **REFUND)
    bench.absent(key)
    (question,) = asked(bench, key)
    with pytest.raises(psycopg.errors.RaiseException, match="holds a payment"):
        bench.connection.execute(statement.encode())
    assert asked(bench, key) == [question]


@pytest.mark.parametrize(
    ("then", "posted"), [(Decision.POST_REST, "60.00"), (Decision.RELEASE, "100.00")]
)
def test_what_is_left_is_asked_about_once_when_the_payment_changes(
    bench: Bench, then: Decision, posted: str
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", **REFUND)
    bench.absent(key)
    (question,) = asked(bench, key)
    decide(bench.connection, question.id, Decision.POST_REST, "asha", "agreed", question.seen)
    # As the models have it then; and its day is another now.
    as_folded = {"is_success": True, "amount": Decimal("60.00")}
    bench.corrected(key, payment_date=DAY - timedelta(days=1), **as_folded)
    (again,) = asked(bench, key)
    decide(bench.connection, again.id, then, "asha", "still", again.seen)
    bench.corrected(key, amount=Decimal(posted))
    bench.post()
    assert open_questions(bench.connection) == []
    assert [amount for _, _, amount in bench.ledger()] == [posted]


def test_what_is_left_is_not_posted_where_another_payment_tells_of_the_refund(bench: Bench) -> None:
    pause(bench, paused=True)
    key = bench.payment("LN-1")
    ruled_same(bench, 1, key)
    bench.payment("LN-1", n="#1", **REFUND)
    bench.post()
    (question,) = open_questions(bench.connection)
    with pytest.raises(NotOfItsKind, match="another payment of the same money"):
        decide(bench.connection, question.id, Decision.POST_REST, "asha", "so", question.seen)


def test_sql_that_knows_the_former_tables_holds_and_releases(bench: Bench) -> None:
    key = bench.payment("LN-1")
    bench.connection.execute(
        """INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
           VALUES (%s, 'by_sql', 'look first', '{}')""",
        (key,),
    )
    assert [(q.kind, q.holds) for q in asked(bench, key)] == [("by_sql", True)]
    bench.connection.execute(
        """UPDATE "CORE"."CORE_HOLD" SET decision = 'release', decided_by = 'asha'"""
    )
    assert open_questions(bench.connection) == []
    bench.connection.execute(
        """INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
           VALUES (%s, 'of_theirs', '{"what": "look"}')""",
        (key,),
    )
    assert [(q.kind, q.holds, q.what) for q in open_questions(bench.connection)] == [
        ("of_theirs", False, "look")
    ]
    bench.connection.execute("""UPDATE "CORE"."CORE_EXCEPTION" SET closed_at = now()""")
    assert open_questions(bench.connection) == []


def test_what_fineract_refused_for_good_is_asked_until_it_is_posted(bench: Bench) -> None:
    key = bench.payment("LN-NEW")
    bench.post()
    (question,) = open_questions(bench.connection)
    assert (question.kind, question.holds, question.source_key) == ("refused", False, key)
    bench.post()
    assert open_questions(bench.connection) == [question]

    bench.loans("LN-NEW")
    bench.post()
    assert bench.states() == {key: "success"}
    assert open_questions(bench.connection) == []


def test_what_awaits_approval_in_fineract_is_asked(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "maker_checker", "loan": "LN-1"})
    bench.post_stopped()
    (question,) = open_questions(bench.connection)
    assert (question.kind, question.source_key) == ("awaiting_approval", key)


def test_a_doubt_of_two_hours_is_asked(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "reset_after_commit"}, {"kind": "gateway", "on": "lookup"})
    bench.post_stopped(
        fineract_timeout_seconds=0.3, fineract_settle_seconds=0.4, fineract_patience_seconds=1
    )
    assert bench.states() == {key: "unknown"}
    assert asked(bench, key) == []
    bench.connection.execute(
        """UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET intended_at = now() - interval '3 hours'"""
    )
    assert [question.kind for question in asked(bench, key)] == ["in_doubt"]
