"""Files as banks and lenders send them, each with what is right, landed by the loader."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.transformation.warehouse import Warehouse

FILES = Path(__file__).parent / "files"
IKF = "RAW_IKF_NACH_CSV"
Land = Callable[[str], FileResult]


@pytest.fixture
def land(database_urls: DatabaseUrls) -> Land:
    def landed(name: str) -> FileResult:
        result = ingest_file(database_urls.psycopg, FILES / name, IKF, received_by="test")
        assert result.rows_read == result.rows_landed + result.rows_quarantined
        return result

    return landed


@pytest.fixture
def raw(database_urls: DatabaseUrls) -> Callable[[], list[dict[str, Any]]]:
    def rows() -> list[dict[str, Any]]:
        with psycopg.connect(database_urls.psycopg, row_factory=dict_row) as connection:
            return connection.execute(f'SELECT * FROM "RAW"."{IKF}" ORDER BY row_number').fetchall()

    return rows


Raw = Callable[[], list[dict[str, Any]]]


def test_rows_whose_two_status_columns_differ_are_quarantined(land: Land, raw: Raw) -> None:
    result = land("status_and_response_status.csv")
    assert result.quarantined == {"CONTRADICTORY_COLUMNS": 2}
    assert all("'Success' and 'Bounce'" in each.reason for each in result.examples)
    assert [each["row_number"] for each in raw()] == [4]


def test_a_success_with_a_bounce_as_its_reason_contradicts_itself(land: Land) -> None:
    assert land("success_with_bounce_text.csv").quarantined == {"CONTRADICTORY_STATUS": 2}


@pytest.mark.parametrize("name", ["mmdd_dates.csv", "month_first_with_a_proof.csv"])
def test_a_file_that_writes_the_month_first_is_refused_and_its_days_are_named(
    land: Land, name: str
) -> None:
    result = land(name)
    assert result.reason_code == "DOUBTFUL_DAYS"
    assert ("11/18/2025" if name == "mmdd_dates.csv" else "10/22/2026") in str(result.error)


def test_the_second_table_is_read_by_its_own_header(land: Land, raw: Raw) -> None:
    assert land("two_tables_of_two_days.csv").rows_landed == 2
    assert {str(each["payment_date"]) for each in raw()} == {"2025-11-06"}
    assert {str(each["presentation_date"]) for each in raw()} == {"2025-11-05"}


def test_error_cells_are_quarantined_with_that_reason(land: Land) -> None:
    result = land("error_cells.xlsx")
    assert result.quarantined == {"DAMAGED_CELL": 3}
    assert "#REF!" in result.examples[0].reason


@pytest.mark.parametrize(
    ("name", "rows"),
    [("last_title_not_latin.csv", 3), ("dates_with_time_or_en_in.csv", 5), ("axis_tilde.txt", 2),
     ("csv_header_with_newline.csv", 1), ("lotuspay_confirmed.csv", 5)],
)  # fmt: skip
def test_right_rows_land(land: Land, name: str, rows: int) -> None:
    result = land(name)
    assert (result.rows_landed, result.quarantined, result.error) == (rows, {}, None)


def test_dates_with_a_time_or_a_month_in_letters_are_their_days(land: Land, raw: Raw) -> None:
    land("dates_with_time_or_en_in.csv")
    days = [str(each["payment_date"]) for each in raw()]
    assert days == ["2025-11-06", "2025-11-06", "2025-09-06", "2025-11-06", "2025-11-06"]


def test_sub_totals_and_the_grand_total_agree(land: Land) -> None:
    result = land("subtotals_and_grand_total.csv")
    assert (result.rows_landed, result.rows_read) == (4, 4)
    assert result.counts is not None
    declared: Any = result.counts.control_totals["declared"]
    assert [each["agrees"] for each in declared] == [True] * 3


def test_zeros_behind_two_decimals_say_no_more(land: Land, raw: Raw) -> None:
    land("decimals_of_zero.csv")
    assert [str(each["amount"]) for each in raw()] == ["4500.00", "4500.50"]


def test_confirmed_is_a_success(land: Land, raw: Raw) -> None:
    land("lotuspay_confirmed.csv")
    assert [each["outcome"] for each in raw()] == [
        "success", "return", "pending", "reject", "success",
    ]  # fmt: skip


def test_one_stray_byte_quarantines_its_line_and_no_other(land: Land, raw: Raw) -> None:
    result = land("one_bad_byte_rupee_sign.csv")
    assert result.quarantined == {"MALFORMED_ROW": 1}
    assert result.examples[0].row_number == 4
    assert [str(each["amount"]) for each in raw()] == ["12500.50", "9000.00"]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("xlsx_password.xlsx", "PASSWORD", "has a password"),
     ("zip_by_mistake.csv", "NOT_A_TABLE", "is a ZIP archive")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(
    land: Land, name: str, code: str, words: str
) -> None:
    result = land(name)
    assert result.reason_code == code
    assert words in str(result.error)


def test_a_cell_with_two_loans_names_none(built_urls: DatabaseUrls) -> None:
    path = FILES / "two_loans_in_one_cell.csv"
    with psycopg.connect(built_urls.psycopg, autocommit=True) as connection:
        models = Warehouse(built_urls, connection)
        assert ingest_file(built_urls.psycopg, path, IKF, received_by="test").rows_landed == 3
        models.build()
        assert [row["loan_external_id"] for row in models.core()] == [None] * 3
