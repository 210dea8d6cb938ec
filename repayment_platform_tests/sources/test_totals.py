"""Totals: right ones never refuse a file, wrong ones always do; tables below tables."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform_tests.sources.made_up import MadeUp, layouts
from repayment_platform_tests.sources.reading import GOOD, HEADER, read_text, row, text_of
from repayment_platform_tests.sources.test_evidence import any_layout

LABELS = ("Total", "GRAND TOTAL", "Sub Total", "Sub-total:", "Page Total", "TOTAL (Rs.)", "Sum",
          "Net Total", "Total for 05/11/2025", "Total Amount", "कुल योग", "कुल", "एकूण रक्कम",
          "மொத்தம்", "మొత్తం", "মোট", "કુલ", "Totals 3 records")  # fmt: skip


def total(label: str, amount: object, at: int = 0) -> list[str]:
    cells = [""] * len(HEADER)
    cells[at] = label
    cells[HEADER.index("Amount")] = str(amount)
    return cells


Section = list[tuple[int, str]]
sections = st.lists(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.sampled_from(["SUCCESS", "BOUNCE", "odd"])), min_size=1
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sections, st.sampled_from(["all", "success", "landed"]), st.sampled_from(LABELS), st.data())
def test_right_totals_of_sections_and_of_the_whole_never_refuse_a_file(
    tmp_path: Path, made: list[Section], counted: str, label: str, data: st.DataObject
) -> None:
    """`odd` is a status that nobody knows: its row is quarantined, and may count or not."""
    count = {"all": {"SUCCESS", "BOUNCE", "odd"}, "success": {"SUCCESS"},
             "landed": {"SUCCESS", "BOUNCE"}}[counted]  # fmt: skip
    sums = [Decimal(sum(n for n, status in each if status in count)) / 100 for each in made]
    rows, number = [], 0
    for section, amount in zip(made, sums, strict=True):
        for paise, status in section:
            number += 1
            told = {"Presentation_Reference": f"N{number}", "Status": status}
            rows.append(row(Amount=str(Decimal(paise) / 100), **told))
        rows.append(total(label, amount, data.draw(st.integers(0, 2))))
    if len(sums) > 1:
        rows.append(total("Region total", sum(sums[-2:])))
    rows.append(total("Grand Total", sum(sums)))
    seen = read_text(tmp_path, text_of(*rows))
    assert len(seen.landed) + len(seen.refused) == number
    assert all(each["agrees"] for each in seen.totals["declared"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(500, 10**6), min_size=2), st.sampled_from(LABELS), st.integers(1, 400))
def test_a_wrong_total_by_any_name_refuses_the_file(
    tmp_path: Path, paise: list[int], label: str, wrong: int
) -> None:
    rows = [row(Amount=str(Decimal(each) / 100), Presentation_Reference=f"N{n}")
            for n, each in enumerate(paise)]  # fmt: skip
    stated = Decimal(sum(paise) + wrong) / 100
    with pytest.raises(FileRefused) as refusal:
        read_text(tmp_path, text_of(*rows, total(label, f"{stated:.2f}")))
    assert refusal.value.code is FileReason.CONTROL_TOTAL_MISMATCH


@pytest.mark.parametrize(
    "cells",
    [["Grand Total", "1000.00"], ["Total", "2", "1,000.00"], ["Total Records", "2"],
     ["Total amount: Rs. 1,000.00"], ["", "", "Total", "1000"], ["Count", "2"]],
)  # fmt: skip
def test_a_total_is_found_wherever_its_row_states_it(tmp_path: Path, cells: list[str]) -> None:
    rows = [row(), row(Presentation_Reference="NPT2")]
    seen = read_text(tmp_path, text_of(*rows, cells))
    assert (len(seen.landed), seen.refused) == (2, [])
    assert [each["agrees"] for each in seen.totals["declared"]] == [True]
    with pytest.raises(FileRefused):
        read_text(tmp_path, text_of(rows[0], cells))


def test_successes_and_bounces_may_have_totals_of_their_own(tmp_path: Path) -> None:
    bounced = row(Status="BOUNCE", Amount="70", Presentation_Reference="NPT2")
    ends = [total("Total Success", "500"), total("Total Bounce", 70), total("Grand Total", 570)]
    assert len(read_text(tmp_path, text_of(row(), bounced, *ends)).landed) == 2
    with pytest.raises(FileRefused):
        read_text(tmp_path, text_of(row(), bounced, ends[0], total("Total", 71)))


def test_a_borrower_called_total_is_no_total(tmp_path: Path) -> None:
    header = ["Customer", *HEADER]
    seen = read_text(tmp_path, text_of(["Total Gas Services", *row()], header=header))
    assert len(seen.landed) == 1
    without_day = ["Total Gas Services", *row(Settlement_Date="")]
    assert read_text(tmp_path, text_of(without_day, header=header)).codes == ["MISSING_VALUE"]


@any_layout
@given(layouts(), layouts())
def test_a_second_table_is_read_by_its_own_header(
    tmp_path: Path, first: MadeUp, second: MadeUp
) -> None:
    for number, cells in enumerate(second.rows):
        cells[second.places["payment_id"]] = f"SECOND{number}"
    seen = read_text(tmp_path, text_of(*first.rows, [], *second.table(), header=first.header))
    assert not seen.refused
    assert [str(each.amount) for each in seen.payments] == first.amounts + second.amounts
    assert [each.payment_date for each in seen.payments] == first.days + second.days


def test_a_second_table_that_lacks_a_column_refuses_the_file(tmp_path: Path) -> None:
    other = ["Loan Account Number", "UMRN", "Remarks", "Amount", "Status"]
    with pytest.raises(FileRefused) as refusal:
        read_text(tmp_path, text_of(row(), other, ["DMI-APP-1", "", "x", "500", "SUCCESS"]))
    assert refusal.value.code is FileReason.SECOND_TABLE
    assert "line 3" in refusal.value.reason
    assert "Settlement Date" in refusal.value.reason


def test_the_cells_of_a_second_table_are_kept_under_its_own_names(tmp_path: Path) -> None:
    swapped = ["Amount", *[name for name in HEADER if name != "Amount"]]
    good = [GOOD[name] for name in swapped]
    seen = read_text(tmp_path, text_of(row(), swapped, good))
    assert seen.cells(1) == {name: GOOD[name] for name in swapped}


UNKNOWN = ("Konto", "Kunde", "Eingang am", "Vorgelegt am", "Betrag", "Ergebnis", "Grund", "Bank",
           "Mandat", "Verweis", "खाता", "राशि", "दिनांक", "स्थिति", "Zweigstelle",
           "Kuerzel 2")  # fmt: skip


@any_layout
@given(layouts(), layouts(), st.data())
def test_a_second_table_under_unknown_names_is_never_read_by_the_first_header(
    tmp_path: Path, first: MadeUp, second: MadeUp, data: st.DataObject
) -> None:
    width = len(first.header)
    names = data.draw(st.permutations(UNKNOWN))[:width]
    names += [f"Feld {chr(65 + n)}" for n in range(width - len(names))]
    known = data.draw(st.sampled_from(["", "UTR", "Loan Number", "Remarks"]))
    if known:
        names[data.draw(st.integers(0, width - 1))] = known
    rows = [row[:width] + [""] * (width - len(row)) for row in second.rows]
    with pytest.raises(FileRefused) as refusal:
        read_text(tmp_path, text_of(*first.rows, [], names, *rows, header=first.header))
    assert refusal.value.code is FileReason.SECOND_TABLE


@pytest.mark.parametrize(
    "line",
    [["Prepared by", "Checked by", "Approved by"], ["This is a computer generated statement"],
     [*row(Amount="five hundred", Settlement_Date="yesterday")],
     [*row(Amount="", Settlement_Date="", Loan_Account_Number="", UMRN="", UTR="")]],
)  # fmt: skip
def test_those_who_signed_and_damaged_rows_are_no_header(tmp_path: Path, line: list[str]) -> None:
    padded = line + [""] * (len(HEADER) - len(line))
    seen = read_text(tmp_path, text_of(row(), padded))
    assert (len(seen.landed), len(seen.refused)) == (1, 1)
