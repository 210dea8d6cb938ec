"""Money that was given back: which payment it was, and how much of it."""

import json
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform_tests.transformation.test_observations import razorpay, sample
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

ARTHMATE, DMI = "RAW_ARTHMATE_NACH_CSV", "RAW_DMI_NACH_CSV"
API, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
CASHFREE = "RAW_GB_CASHFREE_API"
GATEWAY, VIVRITI = "RAW_VIVRITI_RAZORPAY_API", "RAW_VIVRITI_PAYMENT_CSV"
CASHFREE_PAYMENT = "5114900000001"


def only(rows: list[Row]) -> Row:
    [row] = rows
    return row


def told(row: Row) -> tuple[str, bool, str]:
    return row["outcome"], row["is_success"], f"{row['refunded_amount']:.2f}"


def refund(number: str, amount: str, status: str = "SUCCESS") -> Any:
    about = {
        "cf_payment_id": CASHFREE_PAYMENT, "cf_refund_id": number, "refund_id": f"r{number}",
        "order_id": "GB-LN-00045_EMI5_1", "refund_type": "PAYMENT_AUTO_REFUND",
    }  # fmt: skip
    about |= {"refund_amount": float(amount), "refund_status": status}
    return {"type": "REFUND_STATUS_WEBHOOK", "data": {"refund": about}}


def dispute(status: str, amount: float = 12500.50) -> Any:
    data = {
        "dispute": {"dispute_id": "1", "dispute_status": status, "dispute_amount": amount,
                    "reason_description": "Duplicate Processing"},
        "order_details": {"order_id": "GB-LN-00045_EMI5_1", "cf_payment_id": CASHFREE_PAYMENT},
    }  # fmt: skip
    return {"type": "DISPUTE_CLOSED", "data": data}


# ── how much ────────────────────────────────────────────────────────────────────────────────


def test_partial_refunds_add_up_and_each_counts_once_however_often_it_is_told(
    models: Warehouse,
) -> None:
    models.event(CASHFREE, sample("cashfree_payment_success"))
    for event in (
        refund("1", "100.00", "PENDING"), refund("1", "100.00"), refund("2", "250.50"),
        refund("2", "250.50"),
    ):  # fmt: skip
        models.event(CASHFREE, event)
    row = only(models.fold())
    assert told(row) == ("refund", False, "350.50")
    assert row["amount"] == Decimal("12500.50")


def test_razorpays_total_and_the_refunds_of_its_settlement_file_are_the_same_money(
    models: Warehouse,
) -> None:
    models.event(API, sample("razorpay_payment_captured"))
    models.event(API, razorpay(amount_refunded=10000))
    models.event(API, razorpay(amount_refunded=35000))
    for number, amount in (("rfnd_1", "100.00"), ("rfnd_2", "250.00")):
        cells = json.dumps({"entity_id": number})
        models.file_row(REPORT, "UGRO-LN-000123", amount, "2025-11-21", "refund",
                        ref="razorpay:pay_SYN0000000001", cells=cells)  # fmt: skip
    row = only(models.fold())
    assert told(row) == ("refund", False, "350.00")
    assert (row["amount"], str(row["payment_date"])) == (Decimal("12500.50"), "2025-11-19")


def test_a_report_that_shows_part_of_a_payment_refunded_says_so(models: Warehouse) -> None:
    cells = json.dumps({"amount_refunded": "500.50"})
    models.file_row(REPORT, "UGRO-LN-1", "12500.50", ref="razorpay:pay_1", cells=cells)
    models.file_row(REPORT, "UGRO-LN-2", "800.00", ref="razorpay:pay_2",
                    cells=json.dumps({"amount_refunded": "0"}))  # fmt: skip
    by_loan = {row["loan_external_id"] or "?": row for row in models.fold()}
    assert told(by_loan["UGRO-LN-1"]) == ("refund", False, "500.50")
    assert told(by_loan["UGRO-LN-2"]) == ("success", True, "0.00")


# ── disputes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("event", ["created", "under_review", "action_required", "won", "closed"])
def test_a_razorpay_dispute_takes_nothing_back_until_it_is_lost(
    models: Warehouse, event: str
) -> None:
    models.event(API, sample("razorpay_payment_captured"))
    models.event(API, razorpay() | {"event": f"payment.dispute.{event}"})
    row = only(models.fold())
    assert (row["is_success"], row["observations"]) == (True, 2)
    assert row["is_disputed"] is (event not in ("won", "closed"))


def test_a_lost_razorpay_dispute_takes_the_payment_back(models: Warehouse) -> None:
    models.event(API, sample("razorpay_payment_captured"))
    lost = razorpay() | {"event": "payment.dispute.lost"}
    lost["payload"]["dispute"] = {"entity": {"id": "disp_1", "amount_deducted": 1250050}}
    models.event(API, lost)
    row = only(models.fold())
    assert told(row) == ("late_return", False, "12500.50")
    assert row["not_repayment_reason"].endswith("a dispute was lost")


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        ("DISPUTE_CREATED", True),
        ("CHARGEBACK_MERCHANT_WON", True),
        ("CHARGEBACK_MERCHANT_LOST", False),
        ("PRE_ARBITRATION_MERCHANT_ACCEPTED", False),
    ],
)
def test_a_cashfree_dispute_takes_the_payment_back_when_it_is_lost_or_accepted(
    models: Warehouse, status: str, stands: bool
) -> None:
    models.event(CASHFREE, sample("cashfree_payment_success"))
    models.event(CASHFREE, dispute(status))
    row = only(models.fold())
    assert row["is_success"] is stands
    if not stands:
        assert told(row) == ("late_return", False, "12500.50")
        assert row["not_repayment_reason"].endswith("a dispute was lost: Duplicate Processing")


def test_what_a_lost_dispute_takes_is_added_to_what_was_refunded(models: Warehouse) -> None:
    models.event(CASHFREE, sample("cashfree_payment_success"))
    models.event(CASHFREE, refund("1", "8000.00"))
    assert told(only(models.fold())) == ("refund", False, "8000.00")
    models.event(CASHFREE, dispute("CHARGEBACK_MERCHANT_LOST", 4500.50))
    assert told(only(models.fold())) == ("refund", False, "12500.50")


# ── without a reference ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("return_first", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_a_return_without_a_reference_finds_its_one_payment(
    models: Warehouse, return_first: bool, together: bool
) -> None:
    rows = [
        {"on": "2025-11-05"},
        {"on": "2025-11-12", "outcome": "late_return", "reason_text": "Account frozen"},
    ]
    for row in reversed(rows) if return_first else rows:
        models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", **row)
        if not together:
            models.build()
    row = only(models.build())
    assert told(row) == ("late_return", False, "0.00")
    assert row["not_repayment_reason"].endswith(": Account frozen")
    assert (str(row["payment_date"]), row["observations"]) == ("2025-11-05", 2)
    assert models.build(full_refresh=True) == [row]


@pytest.mark.parametrize(
    "other",
    [
        {"loan": "ARTH-LN-2"},
        {"amount": "500.01"},
        {"on": "2025-11-04"},
        {"on": "2025-11-27"},
    ],
)
def test_a_return_of_another_loan_or_amount_or_long_after_finds_none(
    models: Warehouse, other: dict[str, str]
) -> None:
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-05")
    row = {"loan": "ARTH-LN-1", "amount": "500.00", "on": "2025-11-12"} | other
    models.file_row(ARTHMATE, outcome="late_return", **row)
    assert sorted(row["is_success"] for row in models.fold()) == [False, True]


def test_a_return_that_may_be_of_two_payments_is_left_to_a_person(models: Warehouse) -> None:
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-05")
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-08")
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-12", "late_return")
    models.assign_keys()
    assert models.rules() == ["new", "new", "provisional"]


def test_each_return_takes_back_another_payment(models: Warehouse) -> None:
    """The second return comes when the first has taken one of the two candidates."""
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-05")
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-06", "late_return")
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-08")
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-12", "late_return")
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-13", "late_return")
    rows = models.fold()
    assert sorted(row["key_rule"] for row in rows) == ["new", "new", "provisional"]
    assert not any(row["is_success"] for row in rows)


def test_a_refund_in_the_lenders_file_is_of_the_payment_that_the_gateway_reported(
    models: Warehouse,
) -> None:
    models.event(GATEWAY, sample("razorpay_payment_link_paid"))
    models.file_row(VIVRITI, "VIV-LN-77", "5000.00", "2025-11-25", "refund")
    assert told(only(models.fold())) == ("refund", False, "5000.00")


def test_a_part_refunded_without_a_reference_is_of_the_one_larger_payment(
    models: Warehouse,
) -> None:
    models.event(API, sample("razorpay_payment_captured"))
    for number in ("rfnd_1", "rfnd_2", "rfnd_1"):
        models.file_row(REPORT, "UGRO-LN-000123/EMI5", "500.50", "2025-11-21", "refund",
                        cells=json.dumps({"entity_id": number}))  # fmt: skip
    row = only(models.fold())
    assert told(row) == ("refund", False, "1001.00")
    assert (row["amount"], str(row["payment_date"])) == (Decimal("12500.50"), "2025-11-19")


def test_a_replayed_return_keeps_to_its_payment(models: Warehouse) -> None:
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-05")
    back = models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-12", "late_return")
    before = only(models.fold())
    models.file_row(ARTHMATE, "ARTH-LN-1", "500.00", "2025-11-12", "late_return", replaces_id=back)
    after = only(models.fold())
    assert (after["source_key"], told(after)) == (before["source_key"], told(before))


# ── a person's word ─────────────────────────────────────────────────────────────────────────


def test_a_release_makes_it_a_repayment_again_until_more_is_given_back(models: Warehouse) -> None:
    models.event(CASHFREE, sample("cashfree_payment_success"))
    models.event(CASHFREE, refund("1", "100.00"))
    row = only(models.build())
    facts = json.dumps({"outcome": row["outcome"], "refunded": float(row["refunded_amount"])})
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)'
        " VALUES (%s, 'refunded', 'part of it', %s)",
        (row["source_key"], facts),
    )
    [hold] = models.holds()
    decide(models.connection, hold["id"], Decision.RELEASE, "asha", "a charge was returned")
    released = only(models.build())
    assert (released["is_success"], released["not_repayment_reason"]) == (True, None)
    models.event(CASHFREE, refund("2", "50.00"))
    assert told(only(models.build())) == ("refund", False, "150.00")


# ── order of events ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [*permutations(["failed", "captured", "refunded"])])
def test_the_order_in_which_events_arrive_changes_nothing(
    models: Warehouse, order: tuple[str, ...]
) -> None:
    events = {
        "failed": razorpay(status="failed", captured=False),
        "captured": razorpay(),
        "refunded": razorpay(status="refunded", amount_refunded=1250050),
    }
    for name in order:
        models.event(API, events[name])
        models.event(API, events[name])
        rows = models.fold()
        if "captured" in order[: order.index(name) + 1] and name != "refunded":
            assert only(rows)["is_success"] is ("refunded" not in order[: order.index(name) + 1])
    assert told(only(rows)) == ("refund", False, "12500.50")


@pytest.mark.parametrize(
    ("later", "is_success", "outcome"),
    [("success", True, "success"), ("return", False, "return"), ("late_return", False, None)],
)
def test_a_pending_debit_becomes_what_a_later_file_says(
    models: Warehouse, later: str, is_success: bool, outcome: str | None
) -> None:
    """98 then success; 98 then 04; success then returned late."""
    first = "success" if later == "late_return" else "pending"
    models.file_row(DMI, outcome=first, ref="nach-dmi:1", reason_code="98")
    models.fold()
    models.file_row(DMI, outcome=later, ref="nach-dmi:1", reason_code="04")
    row = only(models.fold())
    assert (row["is_success"], row["outcome"]) == (is_success, outcome or "late_return")
