"""What links a report to a payment by name is not undone by what another report of it says."""

from typing import Any

import pytest

from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.walking import BANK, LENDER, Walk, day, models, walk
from repayment_platform_tests.transformation.warehouse import Row

__all__ = ["models", "walk"]
CASHFREE = "RAW_GB_CASHFREE_API"


def of_a_link(paid_at: str, **tags: str) -> tuple[Any, Any]:
    """The link's event and the payment's own, which names its loan only in `tags`."""
    link, paid = sample("cashfree_payment_link_event"), sample("cashfree_payment_success")
    order = link["data"]["order"]
    paid["data"]["order"] |= {"order_id": order["order_id"], "order_tags": tags or None}
    paid["data"]["payment"] |= {
        "payment_amount": float(order["order_amount"]),
        "payment_time": paid_at,
    }
    return link, paid


@pytest.mark.parametrize("tags", [{}, {"loan_id": "GB-LN-00045"}])
@pytest.mark.parametrize("link_first", [True, False])
def test_a_links_event_of_the_day_after_is_of_the_payment_of_its_order(
    walk: Walk, link_first: bool, tags: dict[str, str]
) -> None:
    link, paid = of_a_link("2025-11-18T23:59:50+05:30", **tags)
    for event in (link, paid) if link_first else (paid, link):
        walk.event(CASHFREE, event)
    assert walk.became() == (1, 0)
    [payment] = walk.models.core()
    assert payment["payment_date"].isoformat() == "2025-11-18", "the payment's, not the event's"


@pytest.mark.parametrize(
    "again", [{"on": day(6)}, {"on": day(5)}, {"on": day(9), "amount": "7.00"}]
)
def test_a_lenders_row_again_is_of_the_payment_whatever_rail_the_bank_says(
    walk: Walk, again: Row
) -> None:
    """The two were one by their own UTR, which the later row does not state."""
    walk.file(BANK, {"on": day(5), "ref": "nach-dmi:P1", "utr": "IC1"})
    line = {"on": day(5), "ref": "dmi:T1", "utr": "IC1", "method": "UPI"}
    others = [{"on": day(5), "loan": f"DMI-APP-{n}", "ref": f"dmi:X{n}"} for n in range(2, 6)]
    walk.file(LENDER, line, *others)
    walk.file(LENDER, line | {"utr": None} | again)
    assert walk.became() == (5, "amount" in again)


def test_the_banks_next_debit_is_another_though_the_lenders_row_of_it_joined_the_first(
    walk: Walk,
) -> None:
    walk.file(BANK, {"on": day(5), "ref": "nach-dmi:P1", "utr": "IC1"})
    walk.file(LENDER, {"on": day(6), "ref": "dmi:T2", "utr": "IC2"})
    walk.file(BANK, {"on": day(6), "ref": "nach-dmi:P2", "utr": "IC2"})
    assert walk.became() == (2, 0)
