"""Reports of one movement that contradict each other: one repayment, and a person is asked."""

from typing import Any

import pytest

from repayment_platform.exceptions.naming import map_loan
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.selection import Selection as Chosen
from repayment_platform_tests.cases.questions import questions
from repayment_platform_tests.transformation.conftest import models, platform
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.test_recon_record import captured
from repayment_platform_tests.transformation.warehouse import START, Row

__all__ = ["models", "platform"]
BANK, LENDER = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"
UGRO, VIVRITI = "RAW_UGRO_RAZORPAY_API", "RAW_VIVRITI_RAZORPAY_API"
CASHFREE, UGRO_NACH, REPORT = (
    "RAW_UGRO_CASHFREE_API", "RAW_UGRO_NACH_CSV", "RAW_UGRO_PAYMENT_RAZORPAY",
)  # fmt: skip
SAME: Row = {"umrn": "HDFC1", "utr": "ICIC1", "method": "NACH", "on": "2025-11-05"}
DEBIT: Row = SAME | {"amount": "5000.00", "ref": "nach-dmi:P1", "method": None}


def asked(platform: Platform) -> bool:
    return bool(questions(platform.models))


def reconcile(platform: Platform, *lenders: str) -> None:
    """A run of the models, then a person posts everything that can be posted."""
    platform.sandbox.post("loans", [{"externalId": f"{prefix}-LN-{n}"}
                                    for prefix in ("UGRO", "VIV") for n in (1, 2)])  # fmt: skip
    keys = tuple(row["source_key"] for row in platform.models.build())
    platform.runs += 1
    selection = Selection(lenders, recon_keys=keys)
    run_posting(platform.settings, platform.models.urls.psycopg, selection, f"run-{platform.runs}")


@pytest.mark.parametrize("amounts", [("4500.00", "500.00"), ("5000.50",)])
@pytest.mark.parametrize("bank_first", [True, False])
def test_one_debit_and_a_lenders_file_of_other_amounts_is_paid_once_and_asked_about(
    platform: Platform, amounts: tuple[str, ...], bank_first: bool
) -> None:
    def report(source: str) -> None:
        if source == "bank":
            platform.models.file_row(BANK, **DEBIT)
        else:
            for n, amount in enumerate(amounts):
                told = SAME | {"amount": amount, "ref": f"dmi:T{n}", "file_id": 99}
                platform.models.file_row(LENDER, **told | {"landed_at": START})
        platform.run()

    for source in ("bank", "lender") if bank_first else ("lender", "bank"):
        report(source)
    posted = [amount for _, amount in platform.ledger()]
    assert posted == (["5000.00"] if bank_first else sorted(amounts))
    assert asked(platform)


@pytest.mark.parametrize("bank_first", [True, False])
def test_a_bounce_of_the_bank_and_a_clear_of_the_lender_are_asked_about(
    platform: Platform, bank_first: bool
) -> None:
    reports: list[tuple[str, Row]] = [
        (BANK, DEBIT | {"outcome": "return", "utr": None}),
        (LENDER, SAME | {"amount": "5000.00", "ref": "dmi:T1"}),
    ]
    for table, row in reports if bank_first else reversed(reports):
        platform.models.file_row(table, **row)
        platform.run()
    assert len(platform.ledger()) == (0 if bank_first else 1)
    [question] = questions(platform.models)
    assert "the bank says not paid" in question["reason"]


def enach(on: str) -> Any:
    event = sample("cashfree_subscription_payment_success_enach")
    event["data"] |= {"subscription_id": "UGRO-LN-1", "payment_amount": 5000.0,
                      "payment_initiated_date": f"{on}T09:00:00+05:30"}  # fmt: skip
    return event


@pytest.mark.parametrize("webhook_first", [True, False])
def test_an_enach_webhook_and_a_bank_file_two_days_apart_are_asked_about_in_the_preview(
    platform: Platform, webhook_first: bool
) -> None:
    models = platform.models

    def land(is_webhook: bool) -> None:
        if is_webhook:
            models.event(CASHFREE, enach("2025-11-05"))
        else:
            row = {"umrn": "HDFC1", "ref": "nach-ugro:P1", "on": "2025-11-07"}
            models.file_row(UGRO_NACH, "UGRO-LN-1", "5000.00", **row)  # type: ignore[arg-type]
        models.build_all()

    land(webhook_first)
    land(not webhook_first)
    seen = preview(models.connection, Chosen(lender="UGRO"))
    assert seen.count == 1
    assert [each.reason for each in seen.excluded] == ["held: possible duplicate"]


def test_a_loan_named_by_hand_that_the_settlement_contradicts_is_asked_about(
    platform: Platform,
) -> None:
    models = platform.models
    models.event(UGRO, captured("pay_1", None))
    models.build_all()
    [unknown] = models.core()
    map_loan(models.connection, unknown["source_key"], "UGRO-LN-2", "asha", "the borrower called")
    reconcile(platform, "UGRO")
    assert platform.ledger() == [("UGRO-LN-2", "1000.00")]
    models.file_row(REPORT, "UGRO-LN-1", on="2025-11-19", ref="razorpay:pay_1")
    reconcile(platform, "UGRO")
    assert len(platform.ledger()) == 1
    assert any("another loan" in question["reason"] for question in questions(models))


def test_one_razorpay_id_at_the_endpoints_of_two_lenders_is_paid_once_and_asked_about(
    platform: Platform,
) -> None:
    for table, loan in ((UGRO, "UGRO-LN-1"), (VIVRITI, "VIV-LN-1")):
        platform.models.event(table, captured("pay_1", loan))
        reconcile(platform, "UGRO", "VIVRITI")
    assert len(platform.ledger()) == 1
    assert asked(platform)


def test_two_payments_of_an_order_made_for_one_are_paid_once_and_asked_about(
    platform: Platform,
) -> None:
    for number in ("1", "2"):
        paid = sample("cashfree_payment_success")
        paid["data"]["order"] |= {"order_id": "CFPay_1", "order_tags": {"loan_id": "UGRO-LN-1"}}
        paid["data"]["payment"]["cf_payment_id"] = number
        platform.models.event(CASHFREE, paid)
        reconcile(platform, "UGRO")
    assert len(platform.ledger()) == 1
    assert asked(platform)
