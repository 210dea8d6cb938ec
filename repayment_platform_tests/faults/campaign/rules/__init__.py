"""What must hold of every history, whatever went wrong.

What belongs here: pure functions from a history to the violations they find, one sentence each.
What does not: gathering histories (`evidence`).
"""

from collections.abc import Callable, Iterator

from repayment_platform_tests.faults.campaign.history import History
from repayment_platform_tests.faults.campaign.rules import ledger, runs, states, wire

Rule = Callable[[History], Iterator[str]]

RULES: tuple[Rule, ...] = (
    *(ledger.ledger_and_record_agree, ledger.sums_agree, ledger.each_key_is_live_once),
    *(ledger.everything_in_the_ledger_was_intended, ledger.the_platforms_own_checks_agree),
    *(wire.an_intent_stands_before_its_request, wire.an_intent_is_sent_once),
    *(wire.one_request_in_flight, wire.one_intent_open, wire.nothing_is_sent_again_without_proof),
    *(wire.a_look_up_stands_behind_what_it_settled, wire.a_loan_is_posted_in_date_order),
    *(states.only_postable_payments_are_intended, states.only_rows_at_fault_fail),
    *(states.every_eligible_payment_is_in_one_state, states.what_rests_has_a_reason),
    states.changes_after_posting_are_raised,
    *(runs.only_its_owner_writes_a_result, runs.only_lost_runs_are_taken_over),
    *(runs.an_end_leaves_no_more_in_doubt_than_workers, runs.runs_end_as_they_should),
    runs.a_run_outlives_a_fineract_that_comes_back,
)


def violations(history: History) -> list[str]:
    """Each violation with the rule it breaks."""
    return [f"{rule.__name__}: {found}" for rule in RULES for found in rule(history)]
