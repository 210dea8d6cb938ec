"""Workbooks of several sheets: none with rows is passed over."""

from pathlib import Path

import pytest

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
