"""A run's limits never keep payments back for ever."""

from decimal import Decimal

from repayment_platform.posting.guards import Guards, set_guards
from repayment_platform_tests.posting.conftest import DAY, Bench


def guard(bench: Bench, **guards: object) -> None:
    set_guards(bench.connection, "ARTHMATE", Guards(**guards), "asha")  # type: ignore[typeddict-item]


def test_payments_that_fail_again_and_again_do_not_use_up_a_runs_limit(bench: Bench) -> None:
    bench.loans("LN-9")
    failing = [bench.payment(f"LN-{n}") for n in range(5)]
    good = bench.payment("LN-9")
    guard(bench, max_run_count=2)

    for _ in range(3):
        bench.post()

    assert bench.states() == dict.fromkeys(failing, "failed") | {good: "success"}
    assert len(bench.ledger()) == 1


def test_payments_that_failed_do_not_use_up_the_limit_before_a_new_one_of_their_loan(
    bench: Bench,
) -> None:
    bench.loans("LN-1", disbursedOn=DAY.isoformat())
    failing = [bench.payment("LN-1", f"{n}.00", DAY.replace(day=n)) for n in (1, 2, 3)]
    good = bench.payment("LN-1")
    guard(bench, max_run_count=2)

    for _ in range(2):
        bench.post()

    assert bench.states() == dict.fromkeys(failing, "failed") | {good: "success"}


def test_each_of_many_failing_payments_is_tried_again_in_its_turn(bench: Bench) -> None:
    keys = [bench.payment(f"LN-{n}") for n in range(6)]
    for _ in range(2):
        bench.post()
    bench.loans("LN-5")
    guard(bench, max_run_count=2)

    for _ in range(3):
        bench.post()

    assert bench.states() == dict.fromkeys(keys[:5], "failed") | {keys[5]: "success"}


def test_a_failed_payment_is_tried_again_beside_one_that_awaits_reconciliation(
    bench: Bench,
) -> None:
    failed = bench.payment("LN-1")
    bench.payment("LN-1", "1.00", recon_source="RAZORPAY")
    bench.post()
    bench.loans("LN-1")

    bench.post()

    assert bench.states()[failed] == "success"


def test_a_payment_larger_than_all_that_a_run_may_post_keeps_only_its_own_loan_back(
    bench: Bench,
) -> None:
    bench.loans("LN-1", "LN-2")
    large = bench.payment("LN-1", "500.00", DAY)
    later = bench.payment("LN-1", "20.00", DAY.replace(day=21))
    other = bench.payment("LN-2", "30.00")
    guard(bench, max_run_amount=Decimal(100))

    bench.post()

    assert bench.states() == {large: "deferred", later: "deferred", other: "success"}
    assert bench.one('SELECT reason FROM "CORE"."CORE_OPEN_WORK" WHERE amount = 500') == (
        "larger than all that the lender's limit lets one run post",
    )
