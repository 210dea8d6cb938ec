"""Workbooks of several sheets: none with rows is passed over. Old workbooks: damage shows."""

from datetime import date
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import xlwt

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform_tests.sources.reading import HEADER, Read, read, row
from repayment_platform_tests.sources.workbooks import Cell, write_workbook

Sheet = list[list[Cell]]


def sheet(*numbers: int) -> Sheet:
    return [[*HEADER], *([*row(Presentation_Reference=f"N{n}")] for n in numbers)]


def read_sheets(folder: Path, **sheets: Sheet) -> Read:
    path = folder / "file.xlsx"
    write_workbook(path, sheets)
    return read(path)


def test_several_sheets_with_rows_refuse_the_file_and_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as refused:
        read_sheets(tmp_path, North=sheet(1), Notes=[["nothing"]], South=sheet(2, 3))
    assert refused.value.code is FileReason.SEVERAL_SHEETS
    assert "'North', 'South'" in refused.value.reason


@pytest.mark.parametrize("empty", [sheet(), [*sheet(), [" ", None]]])
def test_a_header_without_rows_does_not_hide_the_sheet_that_has_them(
    tmp_path: Path, empty: Sheet
) -> None:
    for sheets in ({"Summary": empty, "Data": sheet(1, 2)}, {"Data": sheet(1, 2), "Sheet2": empty}):
        seen = read_sheets(tmp_path, **sheets)
        assert (seen.table.encoding, len(seen.landed)) == ("sheet 'Data'", 2)


def test_headers_without_any_row_are_a_valid_empty_file(tmp_path: Path) -> None:
    assert read_sheets(tmp_path, A=sheet(), B=sheet()).landed == []


def test_a_sheet_without_its_part_is_damage_and_no_empty_sheet(tmp_path: Path) -> None:
    path, changed = tmp_path / "book.xlsx", tmp_path / "changed.xlsx"
    write_workbook(path, {"Data": sheet(1), "Lost": sheet(2)})
    with ZipFile(path) as old, ZipFile(changed, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            if not name.endswith("sheet2.xml"):
                new.writestr(name, old.read(name))
    with pytest.raises(FileRefused) as refused:
        read(changed)
    assert "damaged" in refused.value.reason


def old_workbook(folder: Path, *rows: list[object]) -> Path:
    """An XLS with these rows; a number such as 0x17 in a `bytes` of one is an error of Excel's."""
    book, path = xlwt.Workbook(), folder / "old.xls"
    page = book.add_sheet("Data")
    day = xlwt.XFStyle()
    day.num_format_str = "dd/mm/yyyy"
    for at, cells in enumerate([[*HEADER], *rows]):
        for place, cell in enumerate(cells):
            if isinstance(cell, bytes):
                page.row(at).set_cell_error(place, cell[0])
            else:
                page.write(at, place, cell, day if isinstance(cell, date) else xlwt.XFStyle())
    book.save(str(path))
    return path


@pytest.mark.parametrize("field", HEADER)
@pytest.mark.parametrize("error", [0x00, 0x07, 0x0F, 0x17, 0x1D, 0x24, 0x2A])
def test_an_error_in_an_old_workbook_is_never_an_empty_cell(
    tmp_path: Path, field: str, error: int
) -> None:
    damaged: list[object] = [*row()]
    damaged[HEADER.index(field)] = bytes([error])
    seen = read(old_workbook(tmp_path, damaged, [*row(Presentation_Reference="N2")]))
    assert (seen.codes, len(seen.landed)) == (["DAMAGED_CELL"], 1)


def test_an_old_workbook_is_read_as_a_person_sees_it(tmp_path: Path) -> None:
    typed: list[object] = [*row(Presentation_Reference="")]
    for field, value in {
        "Settlement Date": date(2025, 11, 6),
        "Amount": 4500.5,
    }.items():
        typed[HEADER.index(field)] = value
    [payment] = read(old_workbook(tmp_path, typed)).payments
    assert (str(payment.payment_date), str(payment.amount)) == ("2025-11-06", "4500.50")
    assert payment.payment_ref is None
