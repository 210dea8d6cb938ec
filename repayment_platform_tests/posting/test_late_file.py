"""A file that is late for a loan whose interest is recalculated, as docs/fineract.md has it."""

from datetime import timedelta

from repayment_platform.fineract.errors import BEFORE_LAST
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.undone import ids_in_ledger, payment, put_back, undo


def test_what_fineract_refuses_behind_a_later_payment_is_posted_once_that_is_undone(
    bench: Bench,
) -> None:
    bench.loans("LN-1", schedule="recalculated")
    later = payment(bench)
    bench.post()
    late = payment(bench, n=1, day=DAY - timedelta(days=10))
    for _ in range(2):
        bench.post()
    assert bench.states() == {later: "success", late: "failed"}
    why = 'SELECT error_code FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE source_key = %s'
    assert bench.one(why, late) == (BEFORE_LAST,)

    undo(bench, later)
    again = put_back(bench, later)
    bench.post()

    assert bench.states() == {later: "success", late: "success"}
    assert ids_in_ledger(bench) == {later: False, late: True, again.external_id: True}
    in_order = [post["externalId"] for post in bench.posts() if post["status"] == 200]
    assert in_order == [later, late, again.external_id]


def test_a_plain_loan_takes_a_late_payment_and_ours_is_found_where_the_replay_put_it(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    later = payment(bench)
    bench.post()
    late = payment(bench, n=1, day=DAY - timedelta(days=10))
    bench.post()
    assert bench.states() == {later: "success", late: "success"}
    assert ids_in_ledger(bench) == {later: True, late: True}
