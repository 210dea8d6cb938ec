"""The order of day and month, settled by all days of a column and by their neighbours."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform_tests.sources.made_up import MadeUp, layouts
from repayment_platform_tests.sources.reading import HEADER, Read, read_text, row, text_of
from repayment_platform_tests.sources.test_evidence import any_layout, read_table
from repayment_platform_tests.sources.workbooks import Cell, write_workbook

FIRST = "%m/%d/%Y"


def refused(folder: Path, text: str) -> str:
    with pytest.raises(FileRefused) as refusal:
        read_text(folder, text)
    assert refusal.value.code is FileReason.DOUBTFUL_DAYS
    assert "day first" in refusal.value.reason
    return refusal.value.reason


def days(*pairs: tuple[str, str]) -> str:
    """A file of debits with their days of presentation and of settlement."""
    rows = [
        [*row(Settlement_Date=paid, Presentation_Reference=f"N{n}"), presented]
        for n, (presented, paid) in enumerate(pairs)
    ]
    return text_of(*rows, header=[*HEADER, "Presentation Date"])


def test_one_day_that_can_only_be_month_first_refuses_the_file_and_is_named(
    tmp_path: Path,
) -> None:
    reason = refused(tmp_path, days(("05/11/2025", "06/11/2025"), ("05/11/2025", "11/18/2025")))
    assert "11/18/2025" in reason


@any_layout
@given(layouts(), st.data())
def test_a_file_written_month_first_is_never_landed(
    tmp_path: Path, made: MadeUp, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from((FIRST, "%m-%d-%Y", "%m/%d/%y", "%m/%d/%Y %H:%M")))
    start = data.draw(st.dates(date(2025, 1, 1), date(2025, 12, 1)))
    for number, cells in enumerate(made.rows):
        presented = start + timedelta(number * data.draw(st.integers(1, 3)))
        cells[made.places["presentation_date"]] = presented.strftime(form)
        cells[made.places["payment_date"]] = (presented + timedelta(1)).strftime(form)
    with pytest.raises(FileRefused) as refusal:
        read_table(tmp_path, made)
    assert refusal.value.code is FileReason.DOUBTFUL_DAYS


@given(st.dates(date(2024, 1, 1), date(2026, 11, 1)), st.lists(st.integers(0, 5), min_size=1))
def test_a_file_written_day_first_always_lands(
    tmp_path_factory: pytest.TempPathFactory, start: date, gaps: list[int]
) -> None:
    pairs = [
        (f"{start + timedelta(n):%d/%m/%Y}", f"{start + timedelta(n + gap):%d/%m/%Y}")
        for n, gap in enumerate(gaps)
    ]
    seen = read_text(tmp_path_factory.mktemp("days"), days(*pairs))
    assert not seen.refused


def test_a_settlement_weeks_after_its_presentation_and_at_once_the_other_way_is_doubted(
    tmp_path: Path,
) -> None:
    reason = refused(tmp_path, days(("11/05/2025", "11/06/2025"), ("11/06/2025", "11/07/2025")))
    assert "31 days later" in reason or "30 days later" in reason
    assert "11/05/2025" in reason


def test_where_the_order_is_settled_only_the_odd_row_is_quarantined(tmp_path: Path) -> None:
    good = [(f"{day}/11/2025", f"{day + 1}/11/2025") for day in (12, 13, 20)]
    seen = read_text(tmp_path, days(*good, ("05/11/2025", "05/12/2025")))
    assert (len(seen.landed), seen.codes) == (3, ["CONTRADICTORY_DAYS"])
    usual = [(f"0{day}/11/2025", f"0{day + 1}/11/2025") for day in range(1, 7)]
    seen = read_text(tmp_path, days(*usual, ("05/11/2025", "05/12/2025")))
    assert (len(seen.landed), seen.codes) == (6, ["CONTRADICTORY_DAYS"])


def test_weeks_that_no_order_explains_are_as_they_are(tmp_path: Path) -> None:
    assert not read_text(tmp_path, days(("05/11/2025", "28/11/2025"))).refused


def sheet(folder: Path, *paid: Cell) -> Read:
    cells: list[list[Cell]] = [[*HEADER]]
    for number, day in enumerate(paid):
        cells.append([*row(Presentation_Reference=f"N{number}")])
        cells[-1][HEADER.index("Settlement Date")] = day
    path = folder / "file.xlsx"
    write_workbook(path, {"Data": cells})
    return read_text(folder, path.read_bytes())


def test_typed_dates_months_from_the_texts_of_their_column_refuse_the_file(tmp_path: Path) -> None:
    """A spreadsheet has taken 05/11/2025 for the eleventh of May and left 25/11/2025 a text."""
    with pytest.raises(FileRefused) as refusal:
        sheet(tmp_path, date(2025, 5, 11), "25/11/2025", "26/11/2025")
    assert refusal.value.code is FileReason.DOUBTFUL_DAYS
    assert "11/05/2025 lies months from the texts" in refusal.value.reason


def test_typed_dates_near_the_texts_of_their_column_land(tmp_path: Path) -> None:
    assert not sheet(tmp_path, date(2025, 11, 5), "25/11/2025", date(2025, 11, 26)).refused


def test_typed_days_of_presentation_and_settlement_are_compared_too(tmp_path: Path) -> None:
    header = [*HEADER, "Presentation Date"]
    cells: list[list[Cell]] = [[*header], [*row(), date(2025, 5, 11)]]
    cells[1][HEADER.index("Settlement Date")] = date(2025, 6, 11)
    path = tmp_path / "book.xlsx"
    write_workbook(path, {"Data": cells})
    with pytest.raises(FileRefused):
        read_text(tmp_path, path.read_bytes())
