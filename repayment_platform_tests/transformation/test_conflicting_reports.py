"""A reference that stands for other money when it comes again: told, never swallowed."""

from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_recon_record import captured, records, settled
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

NACH, PAYMENT = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"
API, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
BANK = "RAW_UGRO_NACH_CSV"
NOVEMBER = {"Amount": "5000", "Settlement_Date": "05/11/2025"}
DECEMBER = {"Amount": "5000", "Settlement_Date": "05/12/2025"}


def of_others(first: str, second: str) -> list[list[str]]:
    return [loan(1, first, **DECEMBER), loan(9, second, **NOVEMBER | {"Amount": "900"})]


def test_a_reference_used_again_is_asked_about_and_pays_the_debit_of_another_loan(
    platform: Platform,
) -> None:
    for row in (loan(1, "EMI-1", **NOVEMBER), *of_others("EMI-1", "EMI-1")):
        platform.land(row)
    platform.run()

    assert platform.ledger() == [("DMI-APP-1", "5000.00"), ("DMI-APP-9", "900.00")]
    [hold] = open_holds(platform.models.connection)
    assert (hold.kind, hold.loan, str(hold.amount)) == (
        "possible_duplicate", "DMI-APP-1", "5000.00",
    )  # fmt: skip
    assert "equal reference" in hold.what
    decide(platform.models.connection, hold.id, Decision.RELEASE, "asha", "December's", hold.seen)
    platform.run()
    assert [amount for _, amount in platform.ledger()] == ["5000.00", "5000.00", "900.00"]
    assert open_exceptions(platform.models.connection) == []


def test_the_same_debits_sent_again_under_other_references_are_asked_about(
    platform: Platform,
) -> None:
    platform.land(*of_others("EMI-1", "EMI-4"))
    platform.run()
    before = platform.ledger()
    assert len(before) == 2
    platform.land(*of_others("EMI-2", "EMI-3"))
    platform.run()

    assert platform.ledger() == before
    holds = open_holds(platform.models.connection)
    assert sorted((hold.kind, hold.loan) for hold in holds) == [
        ("possible_duplicate", "DMI-APP-1"), ("possible_duplicate", "DMI-APP-9"),
    ]  # fmt: skip


def test_a_posted_payments_row_under_another_loan_is_asked_about_and_corrected_it_joins(
    platform: Platform,
) -> None:
    platform.land(loan(1, "EMI-1", **NOVEMBER))
    platform.run()
    wrong = platform.land(loan(9, "EMI-1", **NOVEMBER), loan(2, "B"))
    platform.run()

    posted = [("DMI-APP-1", "5000.00"), ("DMI-APP-2", "500.00")]
    assert platform.ledger() == posted
    [hold] = open_holds(platform.models.connection)
    assert (hold.kind, hold.loan) == ("possible_duplicate", "DMI-APP-9")
    assert "another loan" in hold.what
    platform.land(loan(1, "EMI-1", **NOVEMBER), loan(2, "B"), supersedes=wrong.file_id)
    core = platform.run()
    assert platform.ledger() == posted
    assert core["DMI-APP-1"]["observations"] == 2
    assert core["DMI-APP-9"]["outcome"] == "withdrawn"


def test_corrected_to_references_of_their_own_the_others_are_paid_once_released(
    platform: Platform,
) -> None:
    platform.land(loan(1, "EMI-1", **NOVEMBER))
    wrong = platform.land(*of_others("EMI-1", "EMI-7")[:1])
    platform.run()
    platform.land(*of_others("EMI-2", "EMI-3"), supersedes=wrong.file_id)
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "5000.00"), ("DMI-APP-9", "900.00")]
    [hold] = open_holds(platform.models.connection)
    assert hold.kind == "possible_duplicate"
    decide(platform.models.connection, hold.id, Decision.RELEASE, "asha", "December's")
    platform.run()

    assert [amount for _, amount in platform.ledger()] == ["5000.00", "5000.00", "900.00"]
    dates = {row["payment_date"].isoformat() for row in platform.models.core()}
    assert dates == {"2025-11-05", "2025-12-05"}


def one(rows: list[Row]) -> Row:
    [row] = rows
    return row


def again(models: Warehouse, table: str, ref: str, **other: Any) -> None:
    loan_id = "DMI-APP-1" if table == NACH else "UGRO-LN-1"
    models.file_row(table, loan_id, ref=ref)
    models.file_row(table, **{"loan": loan_id, "ref": ref} | other)


@pytest.mark.parametrize(
    "other",
    [{}, {"on": "2025-11-10"}, {"loan": None}, {"outcome": "late_return", "on": "2025-12-05"}],
)
def test_a_banks_reports_that_can_be_of_one_payment_are_no_conflict(
    models: Warehouse, other: dict[str, Any]
) -> None:
    again(models, NACH, "nach-dmi:1", **other)
    assert one(models.fold())["conflict"] is None


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"on": "2025-11-10"},
        {"loan": None},
        {"outcome": "failed", "amount": "9.00"},
        {"outcome": "refund", "amount": "9.00", "on": "2025-12-05"},
    ],
)
def test_a_gateways_reports_that_can_be_of_one_payment_are_no_conflict(
    models: Warehouse, other: dict[str, Any]
) -> None:
    again(models, REPORT, "razorpay:pay_1", **other)
    assert one(models.fold())["conflict"] is None


@pytest.mark.parametrize("other", [{"on": "2025-11-11"}, {"amount": "1000.01"}])
def test_another_amount_or_a_day_more_than_five_apart_is_a_conflict(
    models: Warehouse, other: dict[str, Any]
) -> None:
    again(models, REPORT, "razorpay:pay_1", **other)
    assert "; " in one(models.fold())["conflict"]


@pytest.mark.parametrize("correction", [{}, {"outcome": "withdrawn", "amount": "900.00"}])
def test_a_report_that_does_not_stand_any_more_conflicts_with_nothing(
    models: Warehouse, correction: dict[str, Any]
) -> None:
    told: dict[str, Any] = {"loan": "UGRO-LN-1", "ref": "razorpay:pay_1"}
    models.file_row(REPORT, **told)
    wrong = models.file_row(REPORT, **told | {"amount": "900.00"})
    assert one(models.fold())["conflict"]
    models.file_row(REPORT, **told | correction, replaces_id=wrong)
    assert one(models.fold())["conflict"] is None


def test_a_correction_in_one_of_two_sources_sets_it_against_the_other(models: Warehouse) -> None:
    row = models.file_row(NACH, ref="nach:1")
    models.file_row(PAYMENT, ref="dmi:T1", on="2025-11-08")
    assert one(models.fold())["conflict"] is None
    models.file_row(NACH, amount="1001.00", ref="nach:1", replaces_id=row)
    assert one(models.fold())["conflict"] == (
        "on 2025-11-05 1001.00 rupees for loan DMI-APP-1; "
        "on 2025-11-08 1000.00 rupees for loan DMI-APP-1"
    )


def test_an_amount_on_which_gateway_and_settlement_differ_is_for_the_reconciliation_to_show(
    models: Warehouse,
) -> None:
    models.event(API, captured("pay_1", "UGRO-LN-1"))
    settled(models, "pay_1", "UGRO-LN-1", "999.00")
    assert records(models)["pay_1"]["match_status"] == "amount_differs"
    assert one(models.core())["conflict"] is None
    settled(models, "pay_1", "UGRO-LN-1", "998.00")
    assert one(models.build())["conflict"]


def test_a_bank_reference_used_again_is_asked_about_where_payments_are_reconciled_too(
    models: Warehouse,
) -> None:
    models.file_row(BANK, "UGRO-LN-1", ref="nach-ugro:1")
    models.file_row(BANK, "UGRO-LN-1", "900.00", ref="nach-ugro:1")
    assert [row["conflict"] for row in models.fold()] == [None, None]
    assert models.rules() == ["new", "held"]


def test_a_failure_that_names_another_loan_before_is_no_report_of_the_payment(
    models: Warehouse,
) -> None:
    models.file_row(NACH, "DMI-APP-9", outcome="return", ref="nach-dmi:1")
    models.file_row(NACH, "DMI-APP-1", ref="nach-dmi:1")
    paid = [row["loan_external_id"] for row in models.fold() if row["is_success"]]
    assert paid == ["DMI-APP-1"]


@pytest.mark.parametrize(
    ("correction", "rule"),
    [
        ({"ref": "nach-dmi:2"}, "replaces"),
        ({"on": "2025-12-05"}, "replaces"),
        ({"on": "2025-11-06"}, "same_ref"),
        ({"ref": "nach-dmi:2", "on": "2025-12-05", "utr": "IC1"}, "replaces"),
        ({"ref": None}, "replaces"),
        ({"ref": None, "on": "2025-12-05"}, "held"),
        ({"ref": "nach-dmi:2", "on": "2025-12-05", "utr": "IC2"}, "held"),
    ],
)
def test_a_correction_stays_with_its_row_while_reference_utr_or_day_is_equal(
    models: Warehouse, correction: dict[str, Any], rule: str
) -> None:
    row = {"ref": "nach-dmi:1", "utr": "IC1"}
    first = models.file_row(NACH, **row)  # type: ignore[arg-type]
    models.file_row(NACH, replaces_id=first, **row | {"utr": None} | correction)  # type: ignore[arg-type]
    models.assign_keys()
    assert models.rules() == ["new", rule]
    assert len(models.holds()) == (rule == "held")
