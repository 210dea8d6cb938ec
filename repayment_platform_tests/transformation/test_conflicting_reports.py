"""A reference that stands for other money when it comes again: told, never swallowed."""

from collections.abc import Callable
from typing import Any

import pytest

from repayment_platform.posting.exceptions import open_exceptions
from repayment_platform.posting.holds import Decision, decide, open_holds
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_recon_record import captured, records, settled
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

NACH, PAYMENT = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"
API, BANK = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_NACH_CSV"
NOVEMBER = {"Amount": "5000", "Settlement_Date": "05/11/2025"}
DECEMBER = {"Amount": "5000", "Settlement_Date": "05/12/2025"}
THE_FACTS = (
    "on 2025-11-05 5000.00 rupees for loan DMI-APP-1; "
    "on 2025-11-05 900.00 rupees for loan DMI-APP-9; "
    "on 2025-12-05 5000.00 rupees for loan DMI-APP-1"
)


def of_others(first: str, second: str) -> list[list[str]]:
    return [loan(1, first, **DECEMBER), loan(9, second, **NOVEMBER | {"Amount": "900"})]


def test_a_reference_used_for_other_payments_holds_the_first_and_names_them_all(
    platform: Platform,
) -> None:
    for row in (loan(1, "EMI-1", **NOVEMBER), *of_others("EMI-1", "EMI-1")):
        platform.land(row)
    platform.run()

    [hold] = open_holds(platform.models.connection)
    assert (hold.reason_code, hold.loan, str(hold.amount)) == (
        "conflicting_reports", "DMI-APP-1", "5000.00",
    )  # fmt: skip
    assert THE_FACTS in hold.reason
    assert platform.ledger() == []


def test_released_the_first_is_posted_and_the_others_with_references_of_their_own(
    platform: Platform,
) -> None:
    for row in (loan(1, "EMI-1", **NOVEMBER), *of_others("EMI-1", "EMI-1")):
        platform.land(row)
    platform.run()
    [hold] = open_holds(platform.models.connection)
    decide(platform.models.connection, hold.id, Decision.RELEASE, "asha", "the others come again")
    platform.land(*of_others("EMI-2", "EMI-3"))
    platform.run()
    platform.run()

    assert platform.ledger() == [
        ("DMI-APP-1", "5000.00"), ("DMI-APP-1", "5000.00"), ("DMI-APP-9", "900.00"),
    ]  # fmt: skip
    assert open_holds(platform.models.connection) == []
    assert open_exceptions(platform.models.connection) == []


def test_a_posted_payments_reference_used_again_is_an_exception_until_the_file_is_corrected(
    platform: Platform,
) -> None:
    platform.land(loan(1, "EMI-1", **NOVEMBER))
    platform.run()
    wrong = platform.land(loan(9, "EMI-1", **NOVEMBER), loan(2, "B"))
    platform.run()

    [raised] = open_exceptions(platform.models.connection)
    assert raised.kind == "conflicting_reports"
    assert "5000.00 rupees for loan DMI-APP-9" in raised.what
    platform.land(loan(1, "EMI-1", **NOVEMBER), loan(2, "B"), supersedes=wrong.file_id)
    platform.run()
    assert open_exceptions(platform.models.connection) == []
    assert platform.ledger() == [("DMI-APP-1", "5000.00"), ("DMI-APP-2", "500.00")]


def test_corrected_to_references_of_their_own_the_others_are_held_and_the_first_is_released(
    platform: Platform,
) -> None:
    """A key is for ever, but a row that was of a payment by its reference alone may leave it."""
    platform.land(loan(1, "EMI-1", **NOVEMBER))
    wrong = platform.land(*of_others("EMI-1", "EMI-7")[:1])
    platform.run()
    [hold] = open_holds(platform.models.connection)
    assert hold.reason_code == "conflicting_reports"

    platform.land(*of_others("EMI-2", "EMI-3"), supersedes=wrong.file_id)
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "5000.00"), ("DMI-APP-9", "900.00")]
    [other] = open_holds(platform.models.connection)
    assert other.reason_code == "possible_duplicate"
    assert f"had the reference of payment {hold.source_key}" in other.reason
    decide(platform.models.connection, other.id, Decision.RELEASE, "asha", "December's")
    platform.run()

    assert [amount for _, amount in platform.ledger()] == ["5000.00", "5000.00", "900.00"]
    dates = {row["payment_date"].isoformat() for row in platform.models.core()}
    assert dates == {"2025-11-05", "2025-12-05"}


def one(rows: list[Row]) -> Row:
    [row] = rows
    return row


def again(models: Warehouse, **other: Any) -> None:
    models.file_row(NACH, ref="nach:1")
    models.file_row(NACH, **{"ref": "nach:1"} | other)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"on": "2025-11-10"},
        {"loan": None},
        {"outcome": "return", "amount": "9.00", "loan": "DMI-APP-2", "on": "2025-10-05"},
        {"outcome": "refund", "amount": "9.00", "on": "2025-12-05"},
        {"outcome": "late_return", "on": "2025-12-05"},
    ],
)
def test_reports_that_can_be_of_one_payment_are_no_conflict(
    models: Warehouse, other: dict[str, Any]
) -> None:
    again(models, **other)
    assert one(models.fold())["conflict"] is None


@pytest.mark.parametrize(
    "other", [{"on": "2025-11-11"}, {"loan": "DMI-APP-2"}, {"amount": "1000.01"}]
)
def test_another_loan_amount_or_a_day_more_than_five_apart_is_a_conflict(
    models: Warehouse, other: dict[str, Any]
) -> None:
    again(models, **other)
    assert "; " in one(models.fold())["conflict"]


def correct(models: Warehouse, row: int) -> None:
    models.file_row(NACH, ref="nach:1", replaces_id=row)


def withdraw(models: Warehouse, row: int) -> None:
    models.file_row(NACH, "DMI-APP-2", ref="nach:1", outcome="withdrawn", replaces_id=row)


def name_the_loan(models: Warehouse, _: int) -> None:
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_LOAN_MAPPING" (payment_ref, loan_external_id, mapped_by,'
        " mapped_why) VALUES ('nach:1', 'DMI-APP-2', 'asha', 'the borrower has two loans')"
    )


@pytest.mark.parametrize("settle", [correct, withdraw, name_the_loan])
def test_a_report_that_does_not_stand_any_more_conflicts_with_nothing(
    models: Warehouse, settle: Callable[[Warehouse, int], None]
) -> None:
    models.file_row(NACH, ref="nach:1")
    wrong = models.file_row(NACH, "DMI-APP-2", ref="nach:1")
    assert one(models.fold())["conflict"]
    settle(models, wrong)
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


def test_a_bank_reference_used_again_is_a_conflict_where_payments_are_reconciled_too(
    models: Warehouse,
) -> None:
    models.file_row(BANK, "UGRO-LN-1", ref="nach-ugro:1")
    models.file_row(BANK, "UGRO-LN-1", "900.00", ref="nach-ugro:1")
    assert one(models.fold())["conflict"]


def test_the_loan_is_that_of_the_payment_and_not_of_a_failure_before_it(
    models: Warehouse,
) -> None:
    models.file_row(NACH, "DMI-APP-9", outcome="return", ref="nach:1")
    models.file_row(NACH, "DMI-APP-1", ref="nach:1")
    assert one(models.fold())["loan_external_id"] == "DMI-APP-1"


@pytest.mark.parametrize(
    ("correction", "rule"),
    [
        ({"ref": "nach:2", "on": "2025-12-05"}, "held"),
        ({"ref": "nach:2", "on": "2025-11-06"}, "replaces"),
        ({"ref": None, "on": "2025-12-05"}, "replaces"),
        ({"ref": "nach:1", "on": "2025-12-05"}, "same_ref"),
    ],
)
def test_a_row_leaves_the_payment_of_its_reference_when_corrected_to_another_one_of_other_money(
    models: Warehouse, correction: dict[str, Any], rule: str
) -> None:
    models.file_row(NACH, ref="nach:1")
    again = models.file_row(NACH, ref="nach:1", on="2025-12-05")
    models.file_row(NACH, replaces_id=again, **correction)
    models.assign_keys()
    assert models.rules() == ["new", "same_ref", rule]
    leaves = rule == "held"
    assert len({key["source_key"] for key in models.keys().values()}) == 1 + leaves
    assert len(models.holds()) == leaves


def test_the_payments_own_row_never_leaves_it(models: Warehouse) -> None:
    row = models.file_row(NACH, ref="nach:1")
    models.file_row(NACH, ref="nach:2", on="2025-12-05", replaces_id=row)
    models.assign_keys()
    assert models.rules() == ["new", "replaces"]
