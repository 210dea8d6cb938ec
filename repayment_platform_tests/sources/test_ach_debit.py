"""NPCI's fixed width file: every field from its place."""

from pathlib import Path

import pytest

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform_tests.sources.reading import read_text

AADHAAR = "999900001111"


def line(kind: str, **fields: str) -> str:
    """A line with texts put at offsets: `at_120="500"`."""
    text = list(kind.ljust(306))
    for name, value in fields.items():
        start = int(name.removeprefix("at_"))
        text[start : start + len(value)] = value
    return "".join(text)


def header(items: int, paise: int) -> str:
    return line("56", at_103=f"{items:09}", at_112=f"{paise:013}", at_125="06112025")


def detail(loan: str, paise: int, flag: str, code: str) -> str:
    return line(
        "67", at_31="A BORROWER", at_120=f"{paise:013}", at_235=loan, at_265="DR1",
        at_268=AADHAAR, at_283="HDFC7011311230001234", at_303=flag, at_304=code,
    )  # fmt: skip


PAID = detail("IKF-LN-1", 1_250_050, "1", "00")
BOUNCED = detail("IKF-LN-2", 880_000, "0", "04")
IKF = "RAW_IKF_NACH_CSV"


def test_each_debit_is_read_in_paise_on_the_settlement_date(tmp_path: Path) -> None:
    seen = read_text(tmp_path, "\n".join([header(2, 2_130_050), PAID, BOUNCED]), IKF)
    assert [
        (p.loan_ref, str(p.amount), str(p.payment_date), p.outcome, p.reason_code, p.umrn)
        for p in seen.payments
    ] == [
        ("IKF-LN-1", "12500.50", "2025-11-06", "success", "00", "HDFC7011311230001234"),
        ("IKF-LN-2", "8800.00", "2025-11-06", "return", "04", "HDFC7011311230001234"),
    ]
    assert seen.totals["declared"] == [{"line": 1, "amount": "21300.50", "agrees": True}]
    assert [row.row_number for row in seen.landed] == [2, 3]


@pytest.mark.parametrize(("items", "paise"), [(3, 2_130_050), (2, 2_130_051)])
def test_a_header_that_states_other_items_or_another_sum_refuses_the_file(
    tmp_path: Path, items: int, paise: int
) -> None:
    with pytest.raises(FileRefused) as refused:
        read_text(tmp_path, "\n".join([header(items, paise), PAID, BOUNCED]), IKF)
    assert refused.value.code is FileReason.CONTROL_TOTAL_MISMATCH


def test_a_flag_that_is_not_one_is_no_success_without_a_reason(tmp_path: Path) -> None:
    odd = detail("IKF-LN-3", 100, "3", "  ")
    seen = read_text(tmp_path, "\n".join([header(1, 100), odd, "67 cut off"]), IKF)
    assert seen.codes == ["UNKNOWN_VALUE", "TRUNCATED_ROW"]


@pytest.mark.parametrize("code", ["00", "  "])
@pytest.mark.parametrize("flag", [" ", "0", "-", "S"])
def test_no_flag_but_one_makes_a_success_whatever_the_code_says(
    tmp_path: Path, flag: str, code: str
) -> None:
    odd = detail("IKF-LN-3", 100, flag, code)
    seen = read_text(tmp_path, "\n".join([header(2, 1_250_150), PAID, odd]), IKF)
    assert (len(seen.landed), len(seen.refused)) == (1, 1)


def test_a_file_without_debits_is_a_valid_empty_file(tmp_path: Path) -> None:
    assert read_text(tmp_path, header(0, 0), IKF).landed == []
    with pytest.raises(FileRefused, match="the header states 0 items, the file has 1"):
        read_text(tmp_path, "\n".join([header(0, 0), PAID]), IKF)


def test_no_aadhaar_number_is_kept(tmp_path: Path) -> None:
    odd = detail("IKF-LN-3", 100, "3", "  ")
    seen = read_text(tmp_path, "\n".join([header(2, 1_250_150), PAID, odd]), IKF)
    assert AADHAAR not in seen.landed[0].cells
    assert AADHAAR not in seen.refused[0].original
