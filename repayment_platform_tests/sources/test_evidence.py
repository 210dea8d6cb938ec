"""What a row's other cells say: columns that are said twice, reasons beside a success, damage."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.sources.layouts import NACH_WITH_REFERENCE, title
from repayment_platform_tests.sources.made_up import MadeUp, layouts, titles
from repayment_platform_tests.sources.reading import HEADER, Read, read_text, row, text_of
from repayment_platform_tests.sources.test_outcomes import REASONS

any_layout = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ERRORS = ("#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "####",
          "Err:502", "=VLOOKUP(A2,Sheet2!A:C,2,0)", "=B2*C2")  # fmt: skip
OTHERS = {
    "status": "Bounce", "amount": "17.00", "payment_date": "28/11/2025", "umrn": "HDFC9",
    "presentation_date": "28/11/2025", "loan_ref": "DMI-APP-99", "utr": "ICIC99",
    "payment_id": "NPT99", "reason_code": "04",
}  # fmt: skip


def read_table(folder: Path, made: MadeUp) -> Read:
    return read_text(folder, text_of(*made.rows, header=made.header))


def a_further_column_of(draw: Any, made: MadeUp, field: str, cells: list[str]) -> None:
    """Another column that the layout knows as the same field."""
    taken = {title(name) for name in made.header}
    names = [name for name in titles(field) if title(name) not in taken]
    made.add_column(draw(st.sampled_from(names)), cells, draw(st.integers(0, len(made.header))))


@any_layout
@given(layouts())
def test_whatever_the_columns_are_called_and_in_whatever_order_they_stand(
    tmp_path: Path, made: MadeUp
) -> None:
    seen = read_table(tmp_path, made)
    assert not seen.refused
    assert [str(each.amount) for each in seen.payments] == made.amounts
    assert [each.payment_date for each in seen.payments] == made.days
    assert [each.loan_ref for each in seen.payments] == made.column("loan_ref")


@any_layout
@given(layouts(), st.data())
def test_two_columns_of_one_field_that_differ_quarantine_the_row_with_both_values(
    tmp_path: Path, made: MadeUp, data: st.DataObject
) -> None:
    field = data.draw(st.sampled_from([f for f in OTHERS if len(titles(f)) > 1]))
    wrong = data.draw(st.integers(0, 3))
    cells = made.column(field)
    cells[wrong] = OTHERS[field]
    stated = made.rows[wrong][made.places[field]]
    a_further_column_of(data.draw, made, field, cells)
    seen = read_table(tmp_path, made)
    assert len(seen.landed) == 3
    [bad] = seen.refused
    assert bad.code in ("CONTRADICTORY_COLUMNS", "CONTRADICTORY_STATUS")
    if stated.strip("-"):
        assert bad.code == "CONTRADICTORY_COLUMNS"
        assert repr(stated) in bad.reason
        assert repr(OTHERS[field]) in bad.reason


@any_layout
@given(layouts(), st.sampled_from(sorted(OTHERS)), st.data())
def test_two_columns_of_one_field_that_agree_land_however_they_are_written(
    tmp_path: Path, made: MadeUp, field: str, data: st.DataObject
) -> None:
    if len(titles(field)) < 2:
        return
    again = made.column(field)
    if field == "status":
        again = ["Successful"] * 4
    elif field == "amount":
        again = made.amounts
    elif field == "payment_date":
        again = [f"{day:%Y-%m-%d}" for day in made.days]
    a_further_column_of(data.draw, made, field, again)
    assert not read_table(tmp_path, made).refused


def test_an_amount_or_a_success_of_which_one_column_says_nothing_is_no_agreement(
    tmp_path: Path,
) -> None:
    header = [*HEADER, "Presented Amount", "Response Status", "UTR No"]
    rows = [[*row(), "", "Success", ""], [*row(), "500", "", ""], [*row(), "500", "Success", ""],
            [*row(Status="Bounce"), "500", "", "ICIC531012345678"]]  # fmt: skip
    seen = read_text(tmp_path, text_of(*rows, header=header))
    assert seen.codes == ["CONTRADICTORY_COLUMNS"] * 2
    assert [each.row_number for each in seen.landed] == [4, 5]


def test_loans_agree_where_they_name_the_same_one(tmp_path: Path) -> None:
    header = [*HEADER, "CRN", "LAN"]
    said = [("DMI-APP-1", "dmi-app-1"), ("dmi-app-1/EMI5", ""), ("4711", "DMI-APP-1"),
            ("DMI-APP-2", "DMI-APP-1"), ("", "DMI-APP-3")]  # fmt: skip
    seen = read_text(tmp_path, text_of(*([*row(), *each] for each in said), header=header))
    assert [each.row_number for each in seen.landed] == [2, 3, 4]
    assert seen.codes == ["CONTRADICTORY_COLUMNS"] * 2


@any_layout
@given(layouts(), st.sampled_from(REASONS), st.data())
def test_a_success_with_a_reason_for_a_return_anywhere_is_quarantined(
    tmp_path: Path, made: MadeUp, reason: str, data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, 3))
    where = data.draw(st.sampled_from(
        ("reason_code", "reason_text", "Bounce Reason", "Failure Description", "Rejection Remarks",
         "Sponsor Bank Reject Reason", "RETURN_MEMO", "Error Message")
    ))  # fmt: skip
    if where in made.places:
        made.rows[wrong][made.places[where]] = reason
    else:
        cells = [reason if number == wrong else "" for number in range(4)]
        made.add_column(where, cells, data.draw(st.integers(0, len(made.header))))
    seen = read_table(tmp_path, made)
    assert seen.codes == ["CONTRADICTORY_STATUS"]
    assert seen.refused[0].row_number == wrong + 2 + sum(name.count("\n") for name in made.header)


@pytest.mark.parametrize("name", ["Settlement Status", "Bank Status", "Final_Status"])
def test_another_status_that_says_failed_speaks_against_a_success(
    tmp_path: Path, name: str
) -> None:
    rows = [[*row(), "Failed"], [*row(), "Success"], [*row(), "Open"], [*row(Status="Bounce"), "x"]]
    seen = read_text(tmp_path, text_of(*rows, header=[*HEADER, name]))
    assert (seen.codes, len(seen.landed)) == (["CONTRADICTORY_STATUS"], 3)


@pytest.mark.parametrize("name", ["Remarks", "Narration", "Status Description", "Bank Response"])
@pytest.mark.parametrize("text", ["Balance Insufficient", "Bounced", "ACCOUNT CLOSED / 01"])
def test_a_remark_that_is_a_known_reason_for_a_return_speaks_against_a_success(
    tmp_path: Path, name: str, text: str
) -> None:
    rows = [[*row(), text], [*row(), "called the borrower twice"], [*row(), "Success"]]
    seen = read_text(tmp_path, text_of(*rows, header=[*HEADER, name]))
    assert (seen.codes, len(seen.landed)) == (["CONTRADICTORY_STATUS"], 2)


@pytest.mark.parametrize("name", ["Mandate Status", "Bounce Charge Paid", "Return Date", "Branch"])
def test_columns_of_other_things_speak_against_nothing(tmp_path: Path, name: str) -> None:
    seen = read_text(tmp_path, text_of([*row(), "Cancelled"], header=[*HEADER, name]))
    assert not seen.refused


@any_layout
@given(layouts(), st.sampled_from(ERRORS), st.data())
def test_a_damaged_cell_of_any_field_quarantines_its_row(
    tmp_path: Path, made: MadeUp, error: str, data: st.DataObject
) -> None:
    field = data.draw(st.sampled_from(sorted(NACH_WITH_REFERENCE.columns.keys() - {"flag"})))
    wrong = data.draw(st.integers(0, 3))
    made.rows[wrong][made.places[field]] = error
    seen = read_table(tmp_path, made)
    assert (seen.codes, len(seen.landed)) == (["DAMAGED_CELL"], 3)
    assert error in seen.refused[0].reason


def test_damage_in_a_column_that_is_no_evidence_harms_nothing(tmp_path: Path) -> None:
    seen = read_text(tmp_path, text_of([*row(), "#N/A"], header=[*HEADER, "Branch Manager"]))
    assert not seen.refused


def test_a_formula_that_only_keeps_a_text_a_text_is_that_text(tmp_path: Path) -> None:
    [payment] = read_text(tmp_path, text_of(row(UTR='="0012"', Reason_Code='=""'))).payments
    assert (payment.utr, payment.reason_code) == ("0012", None)


def test_where_a_layout_really_has_both_columns_it_says_which_counts(tmp_path: Path) -> None:
    header = ["entity_id", "transaction_entity", "amount", "payment_captured_at",
              "entity_created_at", "payment_notes"]  # fmt: skip
    rows = [["pay_A", "payment", "500", "19/11/2025 08:40:00", "18/11/2025 08:40:00", ""],
            ["pay_B", "payment", "500", "", "18/11/2025 08:40:00", ""]]  # fmt: skip
    seen = read_text(tmp_path, text_of(*rows, header=header), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert [str(each.payment_date) for each in seen.payments] == ["2025-11-19", "2025-11-18"]
    assert list(seen.columns) == [
        "payment date in 'payment_captured_at' and 'entity_created_at': the first that is filled "
        "counts"
    ]
