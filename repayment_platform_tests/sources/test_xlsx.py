"""Cells of a workbook: what a person sees in them, and damage that is no empty cell."""

from datetime import date
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.sources.sheets import open_workbook
from repayment_platform_tests.sources.reading import HEADER, Read, read, row
from repayment_platform_tests.sources.workbooks import Cell, Raw, write_workbook


def cells_of(
    folder: Path, *cells: Cell, parts: dict[str, tuple[bytes, bytes]] | None = None
) -> list[str]:
    """The texts of one row; `parts` are replacements in parts of the workbook."""
    path = folder / "book.xlsx"
    write_workbook(path, {"Data": [[*cells, "end"]]})
    changed = folder / "changed.xlsx"
    with ZipFile(path) as old, ZipFile(changed, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            before, after = (parts or {}).get(name, (b"", b""))
            new.writestr(name, old.read(name).replace(before, after) if before else old.read(name))
        for name in (parts or {}).keys() - set(old.namelist()):
            new.writestr(name, parts[name][1])  # type: ignore[index]  # its keys are walked
    book = open_workbook(changed, b"PK\3\4")
    [(number, texts)] = book.rows("Data")
    assert number == 1
    return texts[:-1]


@pytest.mark.parametrize(
    ("attributes", "inner", "text"),
    [
        ('t="e"', "<v>#REF!</v>", "#REF!"),
        ("t='e'", "<v>#N/A</v>", "#N/A"),
        ("", "<f>B2*C2</f>", "=B2*C2"),
        ("", "<f>B2*C2</f><v></v>", "=B2*C2"),
        ("", "<f>B2*C2</f><v/>", "=B2*C2"),
        ("", '<f t="shared" si="0"/>', "=(shared formula)"),
        ('t="str"', "<f>A1</f>", "=A1"),
        ('t="str"', '<f>""</f><v></v>', ""),
        ('t="str"', "<f>A1</f><v>SUCCESS</v>", "SUCCESS"),
        ("", "<f>B2*2</f><v>500</v>", "500"),
        ('t="e"', "<f>1/0</f><v>#DIV/0!</v>", "#DIV/0!"),
        ('t="b"', "<v>1</v>", "TRUE"),
        ('t="d"', "<v>2025-11-06T00:00:00</v>", "2025-11-06"),
        ('t="n"', "<v>0.30000000000000004</v>", "0.3"),
        ("", "<v>5.30112345678901234E+17</v>", "5.30112345678901E+17"),
        ('s="1"', "<v>45967.75</v>", "2025-11-06 18:00:00"),
        ('t="inlineStr"', "<is><r><t>a</t></r><r><t>b</t></r><rPh><t>x</t></rPh></is>", "ab"),
    ],
)  # fmt: skip
def test_a_cell_is_what_a_person_sees_and_damage_shows(
    tmp_path: Path, attributes: str, inner: str, text: str
) -> None:
    assert cells_of(tmp_path, Raw(attributes, inner)) == [text]


def test_texts_that_cells_share_are_read_without_their_pronunciation(tmp_path: Path) -> None:
    runs = b"<r><t>t</t></r><r><t>wo</t></r><rPh><t>x</t></rPh>"
    shared = b"<sst><si><t>one</t></si><si>%s</si></sst>" % runs
    raw = [Raw('t="s"', f"<v>{n}</v>") for n in (1, 0)]
    assert cells_of(tmp_path, *raw, parts={"xl/sharedStrings.xml": (b"", shared)}) == ["two", "one"]


@pytest.mark.parametrize(
    ("code", "text"),
    [("dd/mm/yyyy", "2025-11-06"), ("[$-409]d\\-mmm\\-yy;@", "2025-11-06"), ("0.00", "45967"),
     ('"day" 0', "45967"), ("[Red]#,##0", "45967"), ("General", "45967"),
     ("#,##0.00_);[Red](#,##0.00)", "45967"), ("yyyy\\-mm\\-dd hh:mm", "2025-11-06")],
)  # fmt: skip
def test_a_number_is_a_day_where_its_format_shows_one(tmp_path: Path, code: str, text: str) -> None:
    quoted = code.replace(chr(34), "&quot;")
    own = f'<numFmts><numFmt numFmtId="164" formatCode="{quoted}"/></numFmts>'
    style = (b'numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
             f'numFmtId="164"/></cellXfs>{own}</styleSheet>'.encode())  # fmt: skip
    assert cells_of(tmp_path, date(2025, 11, 6), parts={"xl/styles.xml": style}) == [text]


def test_a_workbook_that_counts_from_1904_has_the_days_it_shows(tmp_path: Path) -> None:
    epoch = (b"<sheets>", b'<workbookPr date1904="1"/><sheets>')
    assert cells_of(tmp_path, Raw('s="1"', "<v>44505</v>"), parts={"xl/workbook.xml": epoch}) == [
        "2025-11-06"
    ]


def test_other_prefixes_and_cells_without_places_are_read(tmp_path: Path) -> None:
    sheet = (b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">',
             b'<x:worksheet xmlns:x="urn:x" xmlns="urn:y"><sheetData><row><c><v>1</v></c><c/><c>'
             b'<v>2</v></c><c t="inlineStr"><is><t>end</t></is></c></row></sheetData>'
             b"</x:worksheet><!--")  # fmt: skip
    path = tmp_path / "book.xlsx"
    write_workbook(path, {"Data": [[1]]})
    changed = tmp_path / "changed.xlsx"
    with ZipFile(path) as old, ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = sheet[1].removesuffix(b"<!--")
            new.writestr(name, content)
    assert list(open_workbook(changed, b"PK\3\4").rows("Data")) == [(1, ["1", "", "2", "end"])]


@given(st.floats(0, 1e12) | st.integers(0, 10**15 - 1))
def test_numbers_come_out_as_excel_shows_them(
    tmp_path_factory: pytest.TempPathFactory, number: float
) -> None:
    [text] = cells_of(tmp_path_factory.mktemp("n"), number)
    assert float(text) == float(f"{number:.15G}")


def damaged(folder: Path, field: str, cell: Raw) -> Read:
    rows: list[list[Cell]] = [[*HEADER], [*row()], [*row(Presentation_Reference="N2")]]
    rows[1][HEADER.index(field)] = cell
    path = folder / "file.xlsx"
    write_workbook(path, {"Data": rows})
    return read(path)


@pytest.mark.parametrize("field", HEADER)
@pytest.mark.parametrize(
    "cell",
    [Raw('t="e"', "<v>#REF!</v>"), Raw("", "<f>VLOOKUP(A2,B:C,2,0)</f><v></v>")],
)  # fmt: skip
def test_an_error_or_a_formula_without_its_value_is_never_an_empty_cell(
    tmp_path: Path, field: str, cell: Raw
) -> None:
    seen = damaged(tmp_path, field, cell)
    assert (seen.codes, len(seen.landed)) == (["DAMAGED_CELL"], 1)
