"""Where in a gateway's webhook the loan id may stand, and which place outweighs which."""

from typing import Any

import pytest

from repayment_platform_tests.transformation.test_observations import (
    CASHFREE,
    RAZORPAY,
    observe,
    razorpay,
    sample,
)
from repayment_platform_tests.transformation.warehouse import Warehouse

NOTES = [
    "payment", "order", "payment_link", "invoice", "virtual_account", "qr_code", "subscription",
]  # fmt: skip
IN_RAZORPAY = [
    *(f"{of}.entity.notes.{key}" for of in NOTES
      for key in ("loan_id", "loan_account_number", "loanId")),
    "payment_link.entity.reference_id", "order.entity.receipt", "invoice.entity.receipt",
    "virtual_account.entity.description",
]  # fmt: skip
IN_CASHFREE = [
    "order.order_tags.loan_id", "order.order_tags.loan_account_number", "order.order_tags.loanId",
    "link_notes.loan_id", "link_notes.loan_account_number", "link_notes.loanId",
    "subscription_details.subscription_tags.loan_id",
    "subscription_details.subscription_tags.loan_account_number",
    "subscription_details.subscription_tags.loanId",
    "subscription_id", "order.order_id", "link_id", "payment_id", "payment_remarks",
    "customer_details.customer_id",
]  # fmt: skip


def put(into: Any, path: str, text: str) -> None:
    *parents, last = path.split(".")
    for name in parents:
        into = into.setdefault(name, {})
    into[last] = text


@pytest.mark.parametrize(
    ("table", "places", "nth"),
    [(RAZORPAY, IN_RAZORPAY, n) for n in range(len(IN_RAZORPAY))]
    + [(CASHFREE, IN_CASHFREE, n) for n in range(len(IN_CASHFREE))],
)
def test_the_first_place_that_names_a_loan_of_the_lender_tells_it(
    models: Warehouse, table: str, places: list[str], nth: int
) -> None:
    """What stands before it names none, what stands after it names others."""
    if table == RAZORPAY:
        event, below, code = razorpay(notes={}), "payload", "UGRO-LN"
    else:
        event, below, code = sample("cashfree_payment_success"), "data", "GB-LN"
    for n, place in enumerate(places):
        put(event[below], place, "CUST-12345" if n < nth else f" {code.lower()}-{n}/emi5")
    row = observe(models, table, event)
    assert (row["loan_external_id"], row["loan_id_found_in"]) == (f"{code}-{nth}", places[nth])
