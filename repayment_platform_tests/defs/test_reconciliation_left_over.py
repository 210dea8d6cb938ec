"""A request is done once all its payments are; what it leaves unposted is started again."""

from decimal import Decimal
from typing import Any

import dagster as dg

from repayment_platform.posting.guards import set_guards
from repayment_platform.reconciliation import requests
from repayment_platform_tests.defs.test_reconciliation import (
    bench,
    desk,
    environment,
    instance,
    loaded,
    payments,
    refusal,
    run,
)
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.reconciliation.conftest import DAY, Desk

__all__ = ["bench", "desk", "environment", "instance", "loaded"]


def reason(bench: Bench, request: int) -> Any:
    """Why the request has failed."""
    found = requests.get(bench.connection, request)
    assert found.state == "failed"
    return (found.result or {})["stopped"]


def run_again(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, request: int
) -> dg.ExecuteInProcessResult:
    requests.start_again(bench.connection, request, "asha")
    return run(loaded, instance, request=request, dry_run=False)


def test_a_request_over_its_lenders_limit_is_started_again_for_the_rest(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    payments(bench, desk, 2)
    set_guards(bench.connection, "UGRO", {"max_run_count": 1}, "asha")
    number = desk.request()

    told = refusal(run(loaded, instance, request=number, dry_run=False))

    assert reason(bench, number) == (
        "1 of 2 not posted yet: over the lender's limit for one run; start it again"
    )
    assert reason(bench, number) in told
    assert "stopped early" not in told
    assert run_again(loaded, instance, bench, number).success
    request = requests.get(bench.connection, number)
    assert (request.state, request.counts) == ("done", {"success": 2})


def test_a_request_with_a_loan_that_fineract_has_locked_is_started_again_once_it_is_free(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    payments(bench, desk, 2)
    desk.payment("UGRO-LN-0", day=DAY.replace(day=21))
    number = desk.request()
    bench.faults({"kind": "loan_locked", "loan": "UGRO-LN-0"})

    refusal(run(loaded, instance, request=number, dry_run=False))

    why = reason(bench, number)
    assert why.startswith("2 of 3 not posted yet: ")
    assert "locked" in why
    assert "kept back by another payment of its loan or reference" in why
    bench.faults()
    bench.connection.execute('UPDATE "CORE"."CORE_OPEN_WORK" SET not_before = NULL')
    assert run_again(loaded, instance, bench, number).success
    assert len(bench.ledger()) == 3


def test_a_payment_that_its_run_holds_for_a_person_does_not_fail_the_request(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    payments(bench, desk, 1)
    bench.loans("UGRO-LN-1")
    large = desk.payment("UGRO-LN-1", "500.00")
    number = desk.request()
    set_guards(bench.connection, "UGRO", {"max_payment": Decimal(100)}, "asha")

    assert run(loaded, instance, request=number, dry_run=False).success

    request = requests.get(bench.connection, number)
    assert (request.state, bench.states()[large]) == ("done", "held")
    assert [line.reason for line in request.excluded] == ["held: over limit"]
