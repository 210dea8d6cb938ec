"""Reports of one payment that tell of other money: held before posting, an exception after."""

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.posting.test_exceptions import RETURN, closed, only_exception
from repayment_platform_tests.posting.test_same_payment import SAME, ruled_same

TWO, THREE = "on 2025-11-05 100.00; on 2025-12-05 100.00", "on 2025-11-05 100.00; two others"


def test_conflicting_reports_hold_a_payment_until_a_person_has_judged_all_of_them(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", conflict=TWO)
    bench.post()
    (hold,) = open_holds(bench.connection)
    assert (hold.source_key, hold.kind) == (key, "conflicting_reports")
    assert TWO in hold.what
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "the first is right")

    bench.payment("LN-1", conflict=THREE)
    bench.post()
    (hold,) = open_holds(bench.connection)
    assert (THREE in hold.what, bench.ledger()) == (True, [])
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "the others come again")
    bench.post()
    bench.payment("LN-1", conflict=THREE)
    bench.post()

    assert (bench.states(), len(bench.ledger())) == ({key: "success"}, 1)
    assert (open_holds(bench.connection), open_exceptions(bench.connection)) == ([], [])


def test_conflicting_reports_of_what_was_ruled_out_or_given_back_are_told_all_the_same(
    bench: Bench,
) -> None:
    bench.payment("LN-1", **RETURN)
    bench.post()
    (hold,) = open_holds(bench.connection)
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "the bank took it back")
    for _ in range(2):
        bench.payment("LN-1", **RETURN, conflict=TWO)
        bench.post()
    (hold,) = open_holds(bench.connection)
    assert hold.kind == "conflicting_reports"
    decide(bench.connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "of another reference")
    bench.payment("LN-1", **RETURN, conflict=TWO)
    bench.post()
    assert open_holds(bench.connection) == []


def test_a_report_that_conflicts_with_what_was_posted_is_an_exception_until_they_agree(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    bench.payment("LN-1", conflict=TWO)
    bench.post()

    found = only_exception(bench)
    assert (found.source_key, found.kind, found.lender) == (key, "conflicting_reports", "ARTHMATE")
    assert TWO in found.what
    assert open_holds(bench.connection) == []
    bench.payment("LN-1", conflict=None)
    bench.post()
    assert closed(bench) == [("conflicting_reports", "CORE", "its reports agree")]


def test_a_conflict_heard_of_while_a_request_was_in_doubt_is_told_once_it_is_found_posted(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "reset_after_commit"}, {"kind": "gateway", "on": "lookup"})
    impatient = {"fineract_patience_seconds": 1}
    bench.post_stopped(fineract_timeout_seconds=0.3, fineract_settle_seconds=0.4, **impatient)
    assert bench.states() == {key: "unknown"}
    bench.payment("LN-1", conflict=TWO)
    bench.faults()

    bench.post()

    assert bench.states() == {key: "success"}
    assert only_exception(bench).kind == "conflicting_reports"
    assert open_holds(bench.connection) == []


def test_a_correction_after_which_the_reports_agree_releases_the_payment(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", conflict=TWO)
    bench.post()
    bench.payment("LN-1", conflict=None)
    bench.post()
    assert bench.states() == {key: "success"}
    assert bench.one('SELECT decision, decided_by, decided_why FROM "CORE"."CORE_HOLD"') == (
        "gone",
        "CORE",
        "its reports agree",
    )
    bench.payment("LN-1", conflict=TWO)
    bench.post()
    assert only_exception(bench).kind == "conflicting_reports"


def test_a_correction_that_leaves_another_amount_to_a_released_payment_needs_no_second_release(
    bench: Bench,
) -> None:
    of = {"lender": "UGRO", "recon_source": "NACH"}
    bench.payment("LN-1", **of, conflict=TWO)
    bench.post()
    (hold,) = open_holds(bench.connection)
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "the first is right")
    key = bench.payment("LN-1", **of, conflict=None)
    bench.connection.execute('UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = 90')
    bench.post()
    assert open_holds(bench.connection) == []
    assert bench.states() == {key: "waiting"}


def test_a_conflict_and_what_was_given_back_of_a_twin_are_told_of_a_posted_payment_together(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    ruled_same(bench, 1, key)
    bench.post()
    bench.payment("LN-1", conflict=TWO)
    bench.payment("LN-1", n="#1", **SAME | RETURN)
    bench.post()
    found = {(each.source_key, each.kind) for each in open_exceptions(bench.connection)}
    assert found == {(key, "conflicting_reports"), (key, "returned_after_posting")}
