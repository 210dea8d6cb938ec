"""A decision on a hold is about what the person saw."""

from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.posting.holds import FACTS_OF_T, Decision, HoldChanged, decide, open_holds
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.posting.test_conflicting_reports import THREE, TWO

PART = {"is_success": False, "outcome": "refund", "refunded_amount": Decimal("40.00")}
ALL = PART | {"refunded_amount": Decimal("100.00")}


def seen(bench: Bench, key: str) -> str:
    """What the page that lists the hold puts into its form."""
    query = f"""SELECT md5(h.reason || {FACTS_OF_T}::text) FROM "CORE"."CORE_TRANSACTION_DATA" t
                JOIN "CORE"."CORE_HOLD" h USING (source_key) WHERE source_key = %s"""
    return str(bench.one(query, key)[0])


@pytest.mark.parametrize(("then", "now"), [({"conflict": TWO}, {"conflict": THREE}), (PART, ALL)])
def test_a_release_is_for_the_reason_that_the_person_saw(
    bench: Bench, then: dict[str, Any], now: dict[str, Any]
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", **then)
    bench.post()
    [hold] = open_holds(bench.connection)
    on_page = seen(bench, key)
    bench.payment("LN-1", **now)
    bench.post()
    [changed] = open_holds(bench.connection)
    assert (changed.id, changed.reason == hold.reason) == (hold.id, False)
    with pytest.raises(HoldChanged):
        decide(bench.connection, hold.id, Decision.RELEASE, "asha", "paid", on_page)
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "paid", seen(bench, key))
    assert open_holds(bench.connection) == []
