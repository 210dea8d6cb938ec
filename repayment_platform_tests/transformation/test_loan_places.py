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


PLACES = [(RAZORPAY, place) for place in IN_RAZORPAY] + [(CASHFREE, place) for place in IN_CASHFREE]
CUSTOMER = "customer_details.customer_id"
"""The weakest place: it names who pays."""


def naming(table: str, loans: dict[str, str], else_named: str = "CUST-12345") -> Any:
    """A paid event with these texts at places, and at all other places one that names no loan."""
    is_razorpay = table == RAZORPAY
    event = razorpay(notes={}) if is_razorpay else sample("cashfree_payment_success")
    for place in IN_RAZORPAY if is_razorpay else IN_CASHFREE:
        put(event["payload" if is_razorpay else "data"], place, loans.get(place, else_named))
    return event


def code(table: str) -> str:
    return "UGRO-LN" if table == RAZORPAY else "GB-LN"


@pytest.mark.parametrize(("table", "place"), PLACES)
def test_a_loan_of_the_lender_is_found_in_every_place(
    models: Warehouse, table: str, place: str
) -> None:
    row = observe(models, table, naming(table, {place: f" {code(table).lower()}-5/emi5"}))
    assert (row["loan_external_id"], row["loan_id_found_in"]) == (f"{code(table)}-5", place)


@pytest.mark.parametrize(
    ("table", "first"), [(RAZORPAY, IN_RAZORPAY[0]), (CASHFREE, IN_CASHFREE[0])]
)
def test_places_that_name_the_same_loan_agree(models: Warehouse, table: str, first: str) -> None:
    row = observe(models, table, naming(table, {}, f"{code(table)}-5/EMI5"))
    assert (row["loan_external_id"], row["loan_id_found_in"]) == (f"{code(table)}-5", first)


@pytest.mark.parametrize(
    ("table", "place"), [(table, place) for table, place in PLACES if place != CUSTOMER]
)
def test_a_place_that_names_another_loan_leaves_none(
    models: Warehouse, table: str, place: str
) -> None:
    event = naming(table, {place: f"{code(table)}-6"}, f"{code(table)}-5")
    row = observe(models, table, event)
    assert (row["loan_external_id"], row["loan_id_found_in"]) == (None, None)
    assert row["is_success"]


@pytest.mark.parametrize("text", ["GB-LN-6", "GB-LN-6 GB-LN-7"])
def test_who_pays_never_contradicts_what_is_paid(models: Warehouse, text: str) -> None:
    row = observe(models, CASHFREE, naming(CASHFREE, {"link_id": "GB-LN-5", CUSTOMER: text}))
    assert (row["loan_external_id"], row["loan_id_found_in"]) == ("GB-LN-5", "link_id")
    contradicted = {"link_id": "GB-LN-5", "payment_remarks": "GB-LN-6", CUSTOMER: "GB-LN-5"}
    models.event(CASHFREE, naming(CASHFREE, contradicted))
    assert models.base(CASHFREE)[-1]["loan_external_id"] is None


@pytest.mark.parametrize(
    ("text", "loan"),
    [
        ("DMI-APP-1 and DMI-APP-2", None),
        ("DMI-APP-1/dmi-app-12", None),
        ("DMI-APP-12,DMI-APP-1", None),
        ("DMI-APP-1 dmi-app-1/EMI5", "DMI-APP-1"),
        ("DMI-APP-1 DMI-APP-1 DMI-APP-2", None),
        ("DMI-APP-1 IKF-LN-2", "DMI-APP-1"),
        ("DMI-APP-1 XDMI-APP-2", "DMI-APP-1"),
        ("DMI-APP-5511/5512", None),
        ("dmi-app-5511 & 5512", None),
        ("DMI-APP-5511, 5512 and 5513", None),
        ("DMI-APP-5511 and 5512", None),
        ("EMI of DMI-APP-5511-5512", None),
        ("DMI-APP-5511/5511", "DMI-APP-5511"),
        ("DMI-APP-5511/12", "DMI-APP-5511"),
        ("DMI-APP-5511/EMI5512", "DMI-APP-5511"),
        ("DMI-APP-5511/5512X", "DMI-APP-5511"),
        ("DMI-APP-5511 for 5512", "DMI-APP-5511"),
        ("DMI-APP-5511 06/11/2025", "DMI-APP-5511"),
        ("5512/DMI-APP-5511", "DMI-APP-5511"),
        ("DMI-APP-1 " * 5000, "DMI-APP-1"),
        (" ".join(f"DMI-APP-{n}" for n in range(5000)), None),
    ],
)
def test_a_cell_that_names_two_loans_names_none(
    models: Warehouse, text: str, loan: str | None
) -> None:
    models.file_row("RAW_DMI_NACH_CSV", text)
    [row] = models.base("RAW_DMI_NACH_CSV")
    assert (row["loan_external_id"], row["loan_id_found_in"]) == (loan, loan and "loan_ref")


def test_a_note_that_names_two_loans_is_a_payment_without_a_loan(models: Warehouse) -> None:
    models.event(RAZORPAY, razorpay(notes={"loan_id": "UGRO-LN-1, UGRO-LN-2"}))
    models.event(
        RAZORPAY, razorpay(id="pay_2", notes={"loan_id": "UGRO-LN-1", "loanId": "UGRO-LN-2"})
    )
    models.event(
        RAZORPAY, razorpay(id="pay_3", notes='{"loan_id": "UGRO-LN-1", "loanId": "UGRO-LN-2"}')
    )
    models.event(RAZORPAY, razorpay(id="pay_4", notes={"loan_id": "UGRO-LN-5511/5512"}))
    rows = models.build()
    assert [(row["loan_external_id"], row["is_success"]) for row in rows] == [(None, True)] * 4
