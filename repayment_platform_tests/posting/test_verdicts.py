"""What a run makes of odd cases without coming to a halt."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.fineract.contract import Absent, Refused, Unknown
from repayment_platform.posting.claims import Attempt
from repayment_platform.posting.model import Payment, State
from repayment_platform.posting.verdicts import (
    LONGEST_BACK_OFF_SECONDS,
    Then,
    back_off,
    of_lookup,
    of_reply,
)
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


SEEMED_REFUSED = """
UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET intended_at = now() - interval '1 hour',
    http_status = 403, error_code = 'error.msg.new', error_text = 'Not on Sundays.'
"""


def test_a_refusal_that_is_not_documented_is_one_once_the_ledger_is_known_not_to_have_it(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.connection.execute(INTEND, (key, "LN-1", DAY, None))
    bench.connection.execute(SEEMED_REFUSED)

    summary = bench.post()

    assert bench.states() == {key: "failed"}
    assert [(f.code, f.text) for f in summary.failures] == [("error.msg.new", "Not on Sundays.")]
    assert bench.posts() == []


def test_what_seems_refused_stays_in_doubt_until_it_is_looked_up() -> None:
    refused = Refused("error.msg.new", "Not on Sundays.", 403)
    attempt = Attempt(1, Payment("k", "DMI", "LN-1", DAY, Decimal("1.00")), "k", "idem")

    reply = of_reply(attempt, Unknown("x", refused=refused))
    early = of_lookup(attempt, State.UNKNOWN, Absent(), due=False, refused=refused)
    settled = of_lookup(attempt, State.UNKNOWN, Absent(), due=True, refused=refused)

    assert (reply.result.state, reply.then) == (State.UNKNOWN, Then.LEAVE_LOAN)
    assert (reply.result.outcome, early.result.outcome) == (None, None)
    assert (settled.result.state, settled.result.code) == (State.FAILED, "error.msg.new")
