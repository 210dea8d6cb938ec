"""The gateway's settlement report: two tables in one file, one proving the other."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from repayment_platform.sources.layouts import CASHFREE_SETTLEMENT_RECON
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import source_named
from repayment_platform_tests.sources.reading import SAMPLES, Read, read, read_text
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
