"""What the BASE views read from files and webhooks."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from repayment_platform.sources.registry import LENDERS, SOURCES, PostingMode
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

SAMPLES = Path(__file__).parents[1] / "samples" / "webhooks"
RAZORPAY, CASHFREE, FILE = "RAW_UGRO_RAZORPAY_API", "RAW_GB_CASHFREE_API", "RAW_DMI_NACH_CSV"
NOVEMBER_19 = date(2025, 11, 19)
COLUMNS = [
    "raw_id", "raw_table", "landed_at", "replaces_id", "source_lender", "loan_external_id",
    "loan_id_found_in", "payment_date", "amount", "outcome", "is_success", "status_rank",
    "payment_ref", "order_ref", "recon_source", "method", "by_mandate", "utr", "umrn",
    "not_repayment_reason", "refunded_amount", "refund_id", "file_id", "presentation_date",
    "day_exactness", "refund_stated_at",
]  # fmt: skip


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def observe(models: Warehouse, table: str, payload: Any) -> Row:
    models.event(table, payload)
    [row] = models.base(table)
    return row


def razorpay(**changes: Any) -> Any:
    """A captured payment of UGRO with some fields of its entity changed; None removes one."""
    event = sample("razorpay_payment_captured")
    entity = event["payload"]["payment"]["entity"]
    entity |= changes
    for name in [name for name, value in changes.items() if value is None]:
        del entity[name]
    return event


@pytest.mark.parametrize("table", SOURCES)
def test_every_source_has_a_view_with_the_common_columns(models: Warehouse, table: str) -> None:
    view = table.replace("RAW_", "BASE_", 1)
    columns = models.rows(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'BASE' AND table_name = %s ORDER BY ordinal_position",
        (view,),
    )
    assert [column["column_name"] for column in columns] == COLUMNS


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.table)
def test_recon_source_is_set_for_lenders_posted_by_reconciliation(
    models: Warehouse, source: Any
) -> None:
    if source.loan_id_in:
        name = f"{source.kind}_payment_{'captured' if source.kind == 'razorpay' else 'success'}"
        row = observe(models, source.table, sample(name))
    else:
        models.file_row(source.table)
        [row] = models.base(source.table)
    is_recon = LENDERS[source.lender].posting is PostingMode.RECON
    assert row["recon_source"] == (source.reports if is_recon else None)
    assert row["source_lender"] == source.lender


def test_razorpay_paise_become_rupees_and_its_epoch_a_day_in_kolkata(models: Warehouse) -> None:
    row = observe(models, RAZORPAY, sample("razorpay_payment_captured"))
    assert row["payment_ref"] == "razorpay:pay_SYN0000000001"
    assert row["amount"] == Decimal("12500.50")
    assert row["payment_date"] == NOVEMBER_19
    assert (row["outcome"], row["is_success"]) == ("success", True)
    assert row["loan_external_id"] == "UGRO-LN-000123"
    assert row["loan_id_found_in"] == "payment.entity.notes.loan_id"
    assert (row["method"], row["utr"]) == ("upi", "530112345678")


@pytest.mark.parametrize(
    ("epoch", "day"), [(1763490599, date(2025, 11, 18)), (1763490600, NOVEMBER_19)]
)
def test_the_day_changes_at_midnight_in_kolkata(models: Warehouse, epoch: int, day: date) -> None:
    assert observe(models, RAZORPAY, razorpay(created_at=epoch))["payment_date"] == day


def test_a_razorpay_link_event_observes_the_payment_in_it(models: Warehouse) -> None:
    row = observe(models, "RAW_VIVRITI_RAZORPAY_API", sample("razorpay_payment_link_paid"))
    assert row["payment_ref"] == "razorpay:pay_SYN0000000009"
    assert row["loan_external_id"] == "VIV-LN-77"
    assert row["payment_date"] == NOVEMBER_19
    assert row["amount"] == Decimal("5000.00")


@pytest.mark.parametrize(
    ("notes", "loan"),
    [
        ({"loan_id": " ugro-ln-000123/EMI5 "}, "UGRO-LN-000123"),
        ({"loan_account_number": "UGRO-LN-7"}, "UGRO-LN-7"),
        ('{"loan_id": "UGRO-LN-7", "emi": 3}', "UGRO-LN-7"),
        ('{"loan_id": "UGRO-LN-', None),
        ({"loan_id": "UGRO-LN-7A"}, None),
        ({"loan_id": "XUGRO-LN-7"}, None),
        ({"loan_id": 7}, None),
        ([], None),
        ({}, None),
        ("", None),
        (None, None),
    ],
)
def test_the_loan_id_is_found_in_every_shape_of_notes(
    models: Warehouse, notes: Any, loan: str | None
) -> None:
    assert observe(models, RAZORPAY, razorpay(notes=notes))["loan_external_id"] == loan


def test_without_a_loan_id_in_the_payment_the_virtual_account_tells_it(models: Warehouse) -> None:
    row = observe(models, RAZORPAY, sample("razorpay_virtual_account_credited"))
    assert row["loan_external_id"] == "UGRO-LN-000125"
    assert row["loan_id_found_in"] == "virtual_account.entity.notes.loan_id"
    assert row["utr"] == "N305253012345678"


def test_the_status_of_a_razorpay_payment_outweighs_captured(models: Warehouse) -> None:
    row = observe(models, RAZORPAY, razorpay(status="failed", captured=True, error_reason="late"))
    assert (row["outcome"], row["is_success"]) == ("failed", False)
    assert row["not_repayment_reason"] == "late"


def test_a_razorpay_refund_observes_the_payment_as_refunded(models: Warehouse) -> None:
    row = observe(models, RAZORPAY, sample("razorpay_refund_processed"))
    assert row["payment_ref"] == "razorpay:pay_SYN0000000001"
    assert (row["outcome"], row["is_success"]) == ("refund", False)
    assert (row["amount"], row["refunded_amount"]) == (Decimal("12500.50"), Decimal("500.50"))


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": None},
        {"amount": True},
        {"amount": 1.5},  # paise
        {"amount": "1e400"},
        {"currency": "USD"},
        {"created_at": None},
    ],
)
def test_a_success_that_is_no_repayment_says_why(
    models: Warehouse, changes: dict[str, Any]
) -> None:
    row = observe(models, RAZORPAY, razorpay(**changes))
    assert row["outcome"] == "success"
    assert row["is_success"] is False
    assert row["not_repayment_reason"]


@pytest.mark.parametrize("name", ["razorpay_settlement_processed", "razorpay_token_confirmed"])
def test_razorpay_events_without_a_payment_are_left_out(models: Warehouse, name: str) -> None:
    models.event(RAZORPAY, sample(name))
    assert models.base(RAZORPAY) == []


@pytest.mark.parametrize("number", [5114900000001, "5114900000001"])
def test_a_cashfree_payment_is_one_whether_its_id_is_a_number_or_text(
    models: Warehouse, number: int | str
) -> None:
    event = sample("cashfree_payment_success")
    event["data"]["payment"]["cf_payment_id"] = number
    row = observe(models, CASHFREE, event)
    assert row["payment_ref"] == "cashfree:5114900000001"
    assert row["amount"] == Decimal("12500.50")
    assert (row["payment_date"], row["outcome"]) == (NOVEMBER_19, "success")
    assert row["loan_external_id"] == "GB-LN-00045"
    assert row["loan_id_found_in"] == "order.order_tags.loan_id"
    assert (row["method"], row["utr"]) == ("upi", "530112345679")


@pytest.mark.parametrize("name", ["cashfree_payment_failed", "cashfree_payment_user_dropped"])
def test_cashfree_failures_are_no_repayments(models: Warehouse, name: str) -> None:
    row = observe(models, CASHFREE, sample(name))
    assert (row["outcome"], row["is_success"]) == ("failed", False)
    assert row["not_repayment_reason"] == "declined by bank"


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-11-20T00:30:00+05:30", date(2025, 11, 20)),
        ("2025-11-19T18:29:59Z", NOVEMBER_19),
        ("2025-11-19T18:30:00Z", date(2025, 11, 20)),
    ],
)
def test_a_cashfree_payment_near_midnight_is_of_kolkatas_day(
    models: Warehouse, moment: str, day: date
) -> None:
    event = sample("cashfree_payment_success")
    event["data"]["payment"]["payment_time"] = moment
    assert observe(models, CASHFREE, event)["payment_date"] == day


def test_the_loan_id_in_a_cashfree_order_id_is_cut_out(models: Warehouse) -> None:
    event = sample("cashfree_payment_success")
    event["data"]["order"]["order_tags"] = None
    row = observe(models, CASHFREE, event)
    assert (row["loan_external_id"], row["loan_id_found_in"]) == ("GB-LN-00045", "order.order_id")


def test_both_events_of_a_payment_on_a_cashfree_link_name_its_order(models: Warehouse) -> None:
    link = sample("cashfree_payment_link_event")
    payment = sample("cashfree_payment_success")
    payment["data"]["order"]["order_id"] = link["data"]["order"]["order_id"]
    models.event(CASHFREE, link)
    models.event(CASHFREE, payment)
    by_link, by_payment = models.base(CASHFREE)
    assert by_link["order_ref"] == by_payment["order_ref"] == "cashfree-order:CFPay_synth_1"
    assert by_link["payment_ref"] == by_link["order_ref"], "it has no other"
    assert by_payment["payment_ref"] == "cashfree:5114900000001"
    assert by_link["amount"] == Decimal("2000.00")  # not the 5000.00 paid on the link so far
    assert by_link["loan_external_id"] == "GB-LN-00045"


def test_an_expired_cashfree_link_is_no_payment(models: Warehouse) -> None:
    event = sample("cashfree_payment_link_event")
    event["data"]["order"] = None
    models.event(CASHFREE, event)
    assert models.base(CASHFREE) == []


def test_a_cashfree_charge_is_a_repayment_and_a_mandates_test_debit_is_none(
    models: Warehouse,
) -> None:
    charge = sample("cashfree_subscription_payment_success_enach")
    by_type, by_id = (json.loads(json.dumps(charge)) for _ in range(2))
    by_type["data"]["payment_type"] = "AUTH"
    by_id["data"]["payment_type"] = "DEBIT_CARD"
    by_id["data"]["payment_id"] = by_id["data"]["authorization_details"]["payment_id"]
    for event in (charge, by_type, by_id):
        models.event(CASHFREE, event)
    paid, *tests = models.base(CASHFREE)
    assert (paid["is_success"], paid["payment_date"]) == (True, date(2025, 11, 18))
    assert (paid["amount"], paid["loan_external_id"]) == (Decimal("8800.00"), "GB-LN-00046")
    assert [test["is_success"] for test in tests] == [False, False]
    assert all("authorisation" in test["not_repayment_reason"] for test in tests)


@pytest.mark.parametrize("reason", [{"failure_reason": "LOW"}, None])
def test_a_failed_cashfree_charge_is_read_in_every_version(
    models: Warehouse, reason: dict[str, str] | None
) -> None:
    event = sample("cashfree_subscription_payment_failed_enach")
    event["data"]["failure_details"] = reason
    event["data"]["failureDetails"] = None if reason else {"failureReason": "LOW"}
    event["data"]["payment_initiated_date"] = "2025-11-18"
    row = observe(models, CASHFREE, event)
    assert (row["outcome"], row["not_repayment_reason"]) == ("failed", "LOW")
    assert row["payment_date"] == date(2025, 11, 18)


@pytest.mark.parametrize(
    ("status", "kind", "is_observed"),
    [
        ("SUCCESS", "MERCHANT_INITIATED", True),
        ("PENDING", "MERCHANT_INITIATED", False),
        ("PENDING", "PAYMENT_AUTO_REFUND", True),
        ("ONHOLD", "UNRECONCILED_AUTO_REFUND", True),
    ],
)
def test_a_cashfree_refund_observes_the_payment(
    models: Warehouse, status: str, kind: str, is_observed: bool
) -> None:
    refund = {"cf_payment_id": 5114900000001, "refund_amount": 100, "order_id": "GB-LN-00045_1"}
    refund |= {"refund_status": status, "refund_type": kind}
    event = {"type": "REFUND_STATUS_WEBHOOK", "data": {"refund": refund}}
    models.event(CASHFREE, event)
    rows = models.base(CASHFREE)
    assert [(row["payment_ref"], row["outcome"], row["refunded_amount"]) for row in rows] == (
        [("cashfree:5114900000001", "refund", Decimal("100.00"))] if is_observed else []
    )


def test_other_cashfree_events_and_its_test_ping_are_left_out(models: Warehouse) -> None:
    models.event(CASHFREE, sample("cashfree_settlement_success"))
    models.event(CASHFREE, {"data": {"test_object": {"test_key": "test_value"}}})
    models.event(CASHFREE, {"type": "SUBSCRIPTION_STATUS_CHANGED", "data": {"cf_payment_id": 1}})
    assert models.base(CASHFREE) == []


def test_a_file_row_is_taken_as_the_loader_read_it(models: Warehouse) -> None:
    models.file_row(FILE, " dmi-app-771/EMI2", "6250.00", "2025-11-19", ref="nach:X", umrn="U1",
                    utr="T1", method="NACH")  # fmt: skip
    models.file_row(FILE, outcome="return", reason_code="4", reason_text="Balance Insufficient")
    models.file_row(FILE, amount="0.00")
    paid, bounced, nothing = models.base(FILE)
    assert (paid["loan_external_id"], paid["loan_id_found_in"]) == ("DMI-APP-771", "loan_ref")
    assert (paid["payment_ref"], paid["umrn"], paid["utr"]) == ("nach:X", "U1", "T1")
    assert paid["is_success"] is True
    assert (bounced["is_success"], bounced["status_rank"]) == (False, 20)
    assert bounced["not_repayment_reason"] == "4 Balance Insufficient"
    assert (nothing["is_success"], nothing["amount"]) == (False, Decimal("0.00"))
