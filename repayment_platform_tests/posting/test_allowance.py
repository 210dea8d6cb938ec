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
    assert bench.post().total("failed") == 2


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
