"""Rows with more or fewer cells than the header: a comma in an amount, a cut, a short total."""

from pathlib import Path

import pytest

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform_tests.sources.reading import Read, read_text, row, text_of

SHIVALIK = "RAW_SHIVALIK_PAYMENT_CSV"
COLUMNS = "Loan Account No,Payment Date,Payment Status,Paid Amount,UTR"
PAID = "SHIV-LN-000001,05/11/2025,Success"


def lines(folder: Path, *texts: str) -> Read:
    return read_text(folder, "\n".join(texts), SHIVALIK)


@pytest.mark.parametrize("amount", ["1,250.00", "₹ 1,250.00", "1,250"])
def test_a_comma_in_an_amount_and_an_empty_last_cell_do_not_make_a_smaller_amount(
    tmp_path: Path, amount: str
) -> None:
    seen = lines(tmp_path, f"{COLUMNS},Remarks", f"{PAID},{amount},U1,", f"{PAID},500.00,U2,")
    assert seen.codes == ["EXTRA_FIELDS"]
    assert [str(payment.amount) for payment in seen.payments] == ["500.00"]


def test_a_row_may_have_the_empty_cells_at_its_end_that_the_header_has(tmp_path: Path) -> None:
    for ends in ("", ",", ",,"):
        assert len(lines(tmp_path, f"{COLUMNS},,", f"{PAID},500.00,U1{ends}").landed) == 1
    assert lines(tmp_path, f"{COLUMNS},,", f"{PAID},500.00,U1,,,").codes == ["EXTRA_FIELDS"]


@pytest.mark.parametrize("amount", ["1,250.00", "10,000.50"])
def test_money_where_an_id_must_be_is_quarantined(tmp_path: Path, amount: str) -> None:
    """The header is as wide as the row, so that nothing else tells of the comma."""
    seen = lines(tmp_path, f"{COLUMNS},Remarks,", f"{PAID},{amount},U1,")
    assert seen.codes == ["SHIFTED_CELLS"]


@pytest.mark.parametrize("field", ["UTR", "UMRN", "Presentation_Reference", "Loan_Account_Number"])
@pytest.mark.parametrize("money", ["250.00", "000.00", "1,25,000.00", "1250.50"])
def test_no_id_reads_as_money(tmp_path: Path, field: str, money: str) -> None:
    seen = read_text(tmp_path, text_of(row(**{field: money})))
    assert seen.codes == ["SHIFTED_CELLS"]
    assert money in seen.refused[0].reason


@pytest.mark.parametrize("reference", ["250", "12.5", "1.234", "2025.11.06", "N250.00"])
def test_an_id_with_a_point_in_it_is_one(tmp_path: Path, reference: str) -> None:
    assert read_text(tmp_path, text_of(row(UTR=reference))).payments[0].utr == reference


@pytest.mark.parametrize("total", ["Total,,,1500.00", 'Total,,,"1,500.00",', ",,Total,1500"])
def test_a_total_needs_no_cells_beyond_its_amount(tmp_path: Path, total: str) -> None:
    seen = lines(tmp_path, COLUMNS, f"{PAID},500.00,U1", f"{PAID},1000.00,U2", total)
    assert (len(seen.landed), seen.codes) == (2, [])
    assert seen.totals["declared"] == [{"line": 4, "amount": "1500.00", "agrees": True}]


def test_a_short_total_that_does_not_agree_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as refused:
        lines(tmp_path, COLUMNS, f"{PAID},500.00,U1", "Total,,,999.00")
    assert refused.value.code is FileReason.CONTROL_TOTAL_MISMATCH
