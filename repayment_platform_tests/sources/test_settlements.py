"""The gateway's settlement report: two tables in one file, one proving the other."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from repayment_platform.sources.layouts import CASHFREE_SETTLEMENT_RECON
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import source_named
from repayment_platform_tests.sources.reading import SAMPLES, Read, read, read_text, text_of
from repayment_platform_tests.sources.workbooks import write_workbook

SOURCE = replace(
    source_named("RAW_GB_NACH_CSV"),
    layouts=(CASHFREE_SETTLEMENT_RECON,),
    ref_namespace="cashfree",
)
SAMPLE = SAMPLES / "cashfree_settlement_recon_two_section.csv"
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
    rows = list(csv.reader(TEXT.splitlines()))
    path = tmp_path / "file.xlsx"
    details = [row[:17] for row in rows[5:]]
    write_workbook(path, {"Settlements": rows[:2], "Reconciliation Details": details})
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
    lines = TEXT.splitlines()
    seen = read_text(tmp_path, "\n".join([lines[0], *lines[2:6]]), SOURCE)
    assert (seen.landed, seen.refused) == ([], [])


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


def test_cells_that_an_unquoted_comma_has_shifted_are_quarantined(tmp_path: Path) -> None:
    """The row has lost its last cell for it, so that it is as wide as the header."""
    cells = line()
    names, values = list(cells), list(cells.values())
    values[4:] = ["1", *values[4:-1]]
    seen = read_text(tmp_path, text_of(values, header=names), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert len(seen.codes) == 1
