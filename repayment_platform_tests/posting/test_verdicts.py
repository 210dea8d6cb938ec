"""What a run makes of odd cases without coming to a halt."""

from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.posting.verdicts import LONGEST_BACK_OFF_SECONDS, back_off
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_claims import INTEND


@given(st.integers(min_value=0, max_value=10**9))
def test_however_often_a_payment_was_tried_its_back_off_has_a_limit(tries: int) -> None:
    assert 0 < back_off(tries, None) <= LONGEST_BACK_OFF_SECONDS


def test_an_intent_that_no_request_can_carry_ends_as_failed_and_stops_no_other(
    bench: Bench,
) -> None:
    loan = "L" * 101
    bench.loans("LN-1")
    odd, other = bench.payment(loan), bench.payment("LN-1")
    bench.connection.execute(INTEND, (odd, loan, DAY, None))
    long_ago = (
        """UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET intended_at = now() - interval '1 hour'"""
    )
    bench.connection.execute(long_ago)

    bench.post()

    assert bench.states() == {odd: "failed", other: "success"}
