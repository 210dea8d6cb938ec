"""The gateways' settlement reports: two tables of which one proves the other, and single lines."""

import csv
from pathlib import Path

import pytest

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform_tests.sources.reading import SAMPLES, Read, read, read_text, text_of
from repayment_platform_tests.sources.settlement_recon import (
    PAYMENT,
    REFUND,
    SAMPLE,
    event,
    recon_file,
    sections,
    tagged,
)
from repayment_platform_tests.sources.workbooks import write_workbook

SOURCE = "RAW_GB_PAYMENT_CASHFREE"
TEXT = SAMPLE.read_text()


def facts(seen: Read) -> list[tuple[str | None, ...]]:
    return [
        (p.loan_ref, p.payment_ref, str(p.payment_date), str(p.amount), p.outcome, p.utr)
        for p in seen.payments
    ]


EXPECTED = [
    ("GB-LN-00045_EMI5_1", "cashfree:5114900000001", "2025-11-19", "12500.50", "success",
     "AXISCN1169000001"),
    ("GB-LN-00045_EMI5_1", "cashfree:5114900000001", "2025-11-20", "500.50", "refund",
     "AXISCN1169000001"),
]  # fmt: skip


def test_the_second_table_is_read_gross_with_the_payments_ids() -> None:
    seen = read(SAMPLE, SOURCE)
    assert facts(seen) == EXPECTED
    assert [row.row_number for row in seen.landed] == [7, 8]


def test_the_workbook_of_two_sheets_says_the_same(tmp_path: Path) -> None:
    """Also where its headers are spelled in another case."""
    settlements, details = sections([PAYMENT, REFUND])
    path = tmp_path / "file.xlsx"
    for header in details[0], [name.upper() for name in details[0]]:
        sheets = {"Settlements": settlements, "Reconciliation Details": [header, *details[1:]]}
        write_workbook(path, sheets)
        assert facts(read(path, SOURCE)) == EXPECTED


def refusal(folder: Path, text: str) -> FileRefused:
    with pytest.raises(FileRefused) as refused:
        read_text(folder, text, SOURCE)
    return refused.value


def test_without_the_line_between_the_tables_the_file_is_refused(tmp_path: Path) -> None:
    refused = refusal(tmp_path, TEXT.replace("** Settlement Reconciliation Details **", ""))
    assert refused.code is FileReason.MISSING_HEADER_COLUMN
    assert "Reconciliation Details" in refused.reason


def test_a_settlement_that_its_rows_do_not_add_up_to_refuses_the_file(tmp_path: Path) -> None:
    missing = "\n".join(TEXT.splitlines()[:-1])
    refused = refusal(tmp_path, missing)
    assert refused.code is FileReason.CONTROL_TOTAL_MISMATCH
    assert refused.reason == (
        "settlement AXISCN1169000001 states 11971.47, its rows add up to 12471.97"
    )


def test_a_day_without_settlements_is_a_valid_empty_file(tmp_path: Path) -> None:
    seen = read_text(tmp_path, recon_file(), SOURCE)
    assert (seen.landed, seen.refused) == ([], [])


LINK = {"Merchant_Reference_Id": "CFPay_abc_1"}


@pytest.mark.parametrize(
    ("cells", "loan_ref"),
    [
        (tagged(loan_id="GB-LN-00045"), "GB-LN-00045_EMI5_1"),
        (LINK | tagged(), "CFPay_abc_1"),
        (LINK | tagged(emi="5", loan_id="gb-ln-9"), "gb-ln-9"),
        (LINK | tagged(loanId="GB-LN-9/EMI5"), "GB-LN-9/EMI5"),
        (LINK | tagged(topped_up="GB-LN-9"), "CFPay_abc_1"),
        (LINK | tagged(loan_id="UGRO-LN-9"), "CFPay_abc_1"),
        (tagged(loan_id="GB-LN-9") | {"Merchant_Reference_Id": ""}, "GB-LN-9"),
        (tagged(loan_id="GB-LN-9") | {"Merchant_Reference_Id": "5.3E+11"}, "GB-LN-9"),
        # Of two loans BASE makes none.
        (tagged(loan_id="GB-LN-9"), "GB-LN-00045_EMI5_1 / GB-LN-9"),
        (LINK | tagged(loan_id="GB-LN-8", loanId="gb-ln-9"), "GB-LN-8 / gb-ln-9"),
        (tagged(loan_id="GB-LN-9", emi="GB-LN-7") | {"Merchant_Reference_Id": ""}, "GB-LN-9"),
    ],
)
def test_the_loan_is_in_the_orders_id_or_else_in_a_tag_for_it(
    tmp_path: Path, cells: dict[str, str], loan_ref: str
) -> None:
    row = event("PAYMENT", 1, "500.00", "498.00", **cells)
    seen = read_text(tmp_path, recon_file(row), SOURCE)
    assert [payment.loan_ref for payment in seen.payments] == [loan_ref]


def test_a_payment_by_link_has_the_gateways_id_and_its_order_beside_it(tmp_path: Path) -> None:
    rows = [
        event("PAYMENT", 1, "500.00", "498.00", **LINK),
        event("REFUND", 2, "500.00", "-500.00", **LINK, CashFree_Reference_Id=""),
    ]
    seen = read_text(tmp_path, recon_file(*rows), SOURCE)
    assert [(p.payment_ref, p.loan_ref) for p in seen.payments] == [
        ("cashfree:5114900000001", "GB-LN-00045"),
        (None, "CFPay_abc_1"),
    ]


@pytest.mark.parametrize(
    ("kind", "cells", "outcome"),
    [
        ("PAYMENT", {}, "success"),
        ("PAYMENT", {"Status": "PENDING"}, "pending"),
        ("PAYMENT", {"Status": "FAILED"}, "failed"),
        ("REFUND", {}, "refund"),
        ("REFUND", {"Status": "PENDING"}, "refund"),
        ("REFUND", {"Status": "FAILED"}, "failed"),
        ("REFUND", {"Event_Amount": "-500.00"}, "refund"),
        ("CHARGEBACK", {"Status": "N/A"}, "late_return"),
        ("DISPUTE", {"Status": "CHARGEBACK_CREATED"}, "late_return"),
        ("CHARGEBACK_REVERSE", {}, "failed"),
        ("DISPUTE_REVERSE", {}, "failed"),
        ("RISK", {"Event_Amount": "-500.00"}, "failed"),
        ("RISK_REVERSE", {}, "failed"),
        ("OTHER_ADJUSTMENT", {"CashFree_Reference_Id": ""}, "failed"),
    ],
)
def test_every_kind_of_row_lands_and_only_a_payment_is_one(
    tmp_path: Path, kind: str, cells: dict[str, str], outcome: str
) -> None:
    net = "498.00" if kind == "PAYMENT" or kind.endswith("REVERSE") else "-500.00"
    seen = read_text(tmp_path, recon_file(event(kind, 1, "500.00", net, **cells)), SOURCE)
    [payment] = seen.payments
    assert (payment.outcome, str(payment.amount), payment.reason_code) == (outcome, "500.00", kind)
    # What speaks of no payment, an adjustment say, must not be taken for a word about one.
    assert (payment.payment_ref is None) is (outcome == "failed")


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"Event_Type": "TRANSFER"}, "UNSUPPORTED_ROW_TYPE"),
        ({"Status": "SETTLED"}, "UNKNOWN_VALUE"),
        ({"Event_Amount": "-500.00"}, "AMBIGUOUS_DIRECTION"),
        ({"Event_Currency": "USD"}, "UNKNOWN_VALUE"),
        ({"Event_Time": "2025-11-31 08:40:00"}, "BAD_DATE"),
        ({"CashFree_Reference_Id": "5.1149E+12"}, "ID_DAMAGED_BY_EXCEL"),
    ],
)
def test_what_cannot_be_read_for_certain_is_quarantined(
    tmp_path: Path, cells: dict[str, str], code: str
) -> None:
    row = event("PAYMENT", 1, "500.00", "498.00", **cells)
    assert read_text(tmp_path, recon_file(row), SOURCE).codes == [code]


# ── lines of the dashboard's settlement report ──────────────────────────────────────────────

LINES = SAMPLES / "razorpay_settlement_recon_dashboard.csv"


def line(**changes: str) -> dict[str, str]:
    """The payment of the sample with some cells changed."""
    return next(csv.DictReader(LINES.read_text().splitlines())) | changes


def read_line(folder: Path, cells: dict[str, str]) -> Read:
    text = text_of(list(cells.values()), header=list(cells))
    return read_text(folder, text, "RAW_UGRO_PAYMENT_RAZORPAY")


@pytest.mark.parametrize(
    "changes",
    [
        {},  # 12500.50 less 2.00 and 0.36
        {"credit": "12498.5"},  # a fee that includes its tax
        {"credit": "12500.5"},  # paid in advance
        {"fee (exclusive tax)": "", "tax": "", "credit": "12500.50", "debit": ""},
        {"transaction_entity": "refund", "credit": "0", "debit": "12500.50", "tax": "0"},
        {"transaction_entity": "refund", "credit": "0", "debit": "12502.86"},
        {"transaction_entity": "adjustment", "credit": "7"},  # no payment, lands as none
        {"credit": "12498.144"},  # unreadable, so it contradicts nothing
    ],
)
def test_a_line_whose_net_is_explained_lands(tmp_path: Path, changes: dict[str, str]) -> None:
    assert read_line(tmp_path, line(**changes)).codes == []


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "12500.60"},
        {"credit": "12498.15"},
        {"credit": "0.0", "debit": "12498.14"},
        {"transaction_entity": "refund"},  # money came in
        {"debit": "2.0"},
    ],
)
def test_a_line_whose_amounts_contradict_each_other_is_quarantined(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    assert read_line(tmp_path, line(**changes)).codes == ["ARITHMETIC_MISMATCH"]


@pytest.mark.parametrize("name", [LINES.name, "razorpay_payments_report.csv"])
@pytest.mark.parametrize(("currency", "is_read"), [("inr", True), ("", True), ("USD", False)])
def test_what_was_paid_in_another_currency_is_not_taken_for_rupees(
    tmp_path: Path, name: str, currency: str, is_read: bool
) -> None:
    cells = next(csv.DictReader((SAMPLES / name).read_text().splitlines()))
    seen = read_line(tmp_path, cells | {"currency": currency})
    assert seen.codes == ([] if is_read else ["UNKNOWN_VALUE"])


def test_cells_that_an_unquoted_comma_has_shifted_are_quarantined(tmp_path: Path) -> None:
    """The row has lost its last cell for it, so that it is as wide as the header."""
    cells = line()
    names, values = list(cells), list(cells.values())
    values[4:] = ["1", *values[4:-1]]
    seen = read_text(tmp_path, text_of(values, header=names), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert len(seen.codes) == 1
