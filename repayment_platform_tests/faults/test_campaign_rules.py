"""Each rule of the fault campaign finds what it forbids, and nothing in a clean history."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from repayment_platform_tests.faults.campaign.history import Deed, LedgerRow, Outage
from repayment_platform_tests.faults.campaign.plan import Hold, MakeLoan, Pause
from repayment_platform_tests.faults.campaign.rules import RULES, violations
from repayment_platform_tests.faults.histories import (
    AMOUNT,
    DAY,
    KEY,
    LENDER,
    LOAN,
    Change,
    attempt,
    clean,
    intends_again,
    look_up,
    post,
    put,
    resting,
    run,
    version,
    write,
)

OTHER = "b" * 32


def changed(what: str, **to: object) -> Change:
    """The only attempt, request, … of the history, with something else in it."""

    def change(history):
        things = getattr(history, what)
        things[:] = [replace(things[0], **to), *things[1:]]

    return change


def added(what: str, *things: object) -> Change:
    return lambda history: getattr(history, what).extend(things)


def intended(number: int, **facts: object) -> Change:
    """One more intent of run-1."""
    stood = write(2.0, "run-1", None, version(number=number))
    return both(added("attempts", attempt(number, **facts)), added("writes", stood))


def emptied(*whats: str) -> Change:
    return lambda history: [getattr(history, what).clear() for what in whats]


def both(*changes: Change) -> Change:
    return lambda history: [change(history) for change in changes]


def sent_again(**second: object) -> Change:
    return lambda history: intends_again(history, **second)


def looked_up(started: float, status: int) -> Change:
    """The second request of a payment sent again is a look-up of that kind."""
    return lambda history: history.requests.__setitem__(1, look_up(started, status))


def run_is(**facts: object) -> Change:
    return lambda history: history.runs.update({"run-1": run(**facts)})


def planned(**facts: object) -> Change:
    def change(history):
        history.plan = replace(history.plan, **facts)

    return change


GAVE_UP = "stopped: Fineract has not answered for 15 s, since 14:02:10"
BROKEN: dict[str, list[Change]] = {
    "each_key_is_live_once": [added("ledger", LedgerRow(KEY, LOAN, AMOUNT, DAY))],
    "ledger_and_record_agree": [
        emptied("ledger"),
        emptied("outcomes"),
        changed("ledger", amount=AMOUNT + 1),
        changed("ledger", reversed=True),
        changed("outcomes", status="undone"),
    ],
    "sums_agree": [added("ledger", LedgerRow("theirs", LOAN, AMOUNT, DAY)), emptied("outcomes")],
    "everything_in_the_ledger_was_intended": [
        added("ledger", LedgerRow("theirs", LOAN, AMOUNT, DAY)),
        changed("ledger", day=DAY.replace(day=1)),
        emptied("attempts"),
    ],
    "the_platforms_own_checks_agree": [added("proofs", "something is wrong")],
    "an_intent_stands_before_its_request": [
        changed("requests", idempotency_key="of nobody"),
        changed("requests", external_id="random"),
        changed("requests", started=1.5),
    ],
    "an_intent_is_sent_once": [added("requests", post(2, idempotency_key="idem-1"))],
    "one_request_in_flight": [
        both(sent_again(), added("requests", post(3, started=4.15, external_id=OTHER))),
    ],
    "one_intent_open": [
        sent_again(intended_at=3.0),
        intended(2, key=OTHER, intended_at=2.2),
        intended(2, loan="LN-2", intended_at=2.2),
    ],
    "nothing_is_sent_again_without_proof": [
        both(sent_again(), lambda h: h.requests.pop(1)),
        both(sent_again(), looked_up(2.8, 404)),
        both(sent_again(), looked_up(3.4, 502)),
        both(sent_again(), changed("requests", applied=True)),
        both(sent_again(), changed("attempts", settled_by="reply")),
    ],
    "a_look_up_stands_behind_what_it_settled": [
        changed("attempts", settled_by="lookup"),
        both(changed("attempts", settled_by="lookup"), added("requests", look_up(2.7, 200))),
    ],
    "a_loan_is_posted_in_date_order": [
        intended(2, key=OTHER, day=DAY.replace(day=1), intended_at=3.0),
    ],
    "only_postable_payments_are_intended": [
        changed("attempts", amount=AMOUNT + 1),
        added("deeds", put(at=1.0, is_success=False)),
        added("deeds", Deed(1.0, 1.1, "hold", Hold(KEY))),
        added("deeds", Deed(1.0, 1.1, "pause", Pause(LENDER, paused=True))),
        both(emptied("deeds"), added("deeds", put(recon_source="RAZORPAY"))),
        run_is(recon_keys=(KEY,)),
        both(planned(limited=LENDER), emptied("deeds"), changed("attempts", amount=Decimal(9000)),
             added("deeds", put(amount=Decimal(9000)))),
    ],
    "only_rows_at_fault_fail": [
        changed("attempts", outcome="failed"),
        both(planned(loans={LOAN: "late"}), changed("attempts", outcome="failed"),
             added("deeds", Deed(1.0, 1.1, "loan", MakeLoan(LOAN)))),
    ],
    "every_eligible_payment_is_in_one_state": [
        added("deeds", put(OTHER)),
        added("open_work", resting("waiting")),
        both(emptied("outcomes"), added("open_work", resting("waiting")),
             added("deeds", put(at=3.0, is_success=False))),
    ],
    "what_rests_has_a_reason": [
        *(added("open_work", resting(state)) for state in
          ("waiting", "held", "deferred", "failed", "sending", "unknown", "awaiting_approval")),
        both(planned(loans={LOAN: "unknown"}), added("open_work", resting("failed", reason=""))),
        changed("attempts", settled_at=None, outcome=None),
        lambda history: setattr(history, "restless", ("a payment waits",)),
    ],
    "changes_after_posting_are_raised": [
        added("deeds", put(at=3.0, is_success=False)),
        added("deeds", put(at=3.0, amount=AMOUNT + 1)),
        added("deeds", put(at=3.0, day=DAY - timedelta(6))),
    ],
    "only_its_owner_writes_a_result": [
        added("writes", write(3.0, "run-2", version(), version())),
        added("writes", write(3.0, "run-1", version(settled_at="then"), version())),
    ],
    "only_lost_runs_are_taken_over": [
        added("writes", write(3.0, "run-2", version("run-1"), version("run-2"))),
        added("writes", write(5.5, "run-3", version("run-1"), version("run-2"))),
        added("writes", write(5.5, "run-2", version("run-1", settled_at="then"), version("run-2"))),
    ],
    "an_end_leaves_no_more_in_doubt_than_workers": [
        lambda history: history.writes.pop(),
        both(run_is(code=-9),
             *(intended(n, loan=f"LN-{n}", key=str(n)) for n in (2, 3, 4))),
    ],
    "runs_end_as_they_should": [
        *(run_is(code=code) for code in (None, 1, 4, 70, -11, -15)),
        run_is(code=3, output="stopped on request"),
        run_is(run_id="run-calm-1", code=3),
    ],
    "a_run_outlives_a_fineract_that_comes_back": [
        run_is(code=3, output="stopped: no connection to Fineract"),
        run_is(code=3, output=GAVE_UP, ended=20.0),
        both(run_is(code=3, output=GAVE_UP, ended=20.0), added("outages", Outage(2.0, 9.0))),
        run_is(left=("a payment waits",)),
    ],
}  # fmt: skip


def test_a_clean_history_breaks_no_rule() -> None:
    assert violations(clean()) == []


def test_what_is_sent_again_after_a_settled_look_up_breaks_no_rule() -> None:
    history = clean()
    intends_again(history)

    assert violations(history) == []


@pytest.mark.parametrize("back", [18.0, None])
def test_an_outage_as_long_as_its_patience_may_end_a_run(back: float | None) -> None:
    history = clean()
    history.runs["run-1"] = run(code=3, output=GAVE_UP, ended=18.5)
    history.outages.append(Outage(2.0, back))

    assert violations(history) == []


def test_a_fault_of_the_set_up_may_end_a_run() -> None:
    history = clean()
    history.runs["run-1"] = run(code=3, output="stopped: Fineract refuses the password")
    history.requests.append(look_up(3.0, 401, faults=("unauthorized",)))

    assert violations(history) == []


def test_every_rule_is_proven_here() -> None:
    assert {rule.__name__ for rule in RULES} == set(BROKEN)


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, changes in BROKEN.items() for change in changes]
)
def test_a_broken_history_breaks_the_rule(name: str, change: Change) -> None:
    history = clean()
    change(history)

    assert any(found.startswith(f"{name}: ") for found in violations(history)), violations(history)
