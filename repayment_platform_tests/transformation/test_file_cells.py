"""Cells of files that dbt reads itself: as senders spell them, and as the loader reads them."""

from decimal import Decimal
from pathlib import Path

import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform_tests.dbt_once import compiled
from repayment_platform_tests.sources.reading import text_of
from repayment_platform_tests.sources.test_money import WRITTEN
from repayment_platform_tests.transformation.warehouse import Warehouse

REPORT = "RAW_UGRO_PAYMENT_RAZORPAY"
PAYMENTS = ["id", "amount", "status", "created_at", "notes"]
PAYMENT = ["pay_1", "5,000.00", "captured", "19/11/2025 08:40:00", "UGRO-LN-1"]
LINES = [
    "transaction_entity", "entity_id", "amount", "fee", "tax", "Debit", "Credit", "created_at",
    "settlement_id", "settled_at", "settlement_utr", "order_receipt",
]  # fmt: skip


def land(models: Warehouse, folder: Path, header: list[str], *rows: list[str]) -> FileResult:
    path = folder / "report.csv"
    path.write_text(text_of(*rows, header=header), newline="")
    result = ingest_file(models.urls.psycopg, path, REPORT, received_by="test")
    assert (result.error, result.rows_quarantined) == (None, 0)
    return result


NO_MONEY = ("", "-", "abc", "4.255", "1.2.3", "(5", "--5", "1e5", "9" * 18)


def test_money_in_a_cell_is_to_dbt_what_it_is_to_the_loader_and_what_is_none_is_null(
    models: Warehouse,
) -> None:
    money = "SELECT {{ rupees(plain_rupees('text')) }} AS rupees FROM (SELECT %s) c (text)"
    query = compiled(models.urls, money)
    for text, amount in (*WRITTEN, *((text, None) for text in NO_MONEY)):
        [row] = models.rows(query.replace("%s", f"'{text}'"))
        assert row["rupees"] == (amount and Decimal(amount)), text


@pytest.mark.parametrize("column", ["amount_refunded", "Amount Refunded", " AMOUNT_REFUNDED "])
@pytest.mark.parametrize("refunded", ["₹ 1,000.00", "1000", "(1,000.00)", "'1000.00"])
def test_a_payment_that_a_report_shows_refunded_in_part_is_no_success(
    models: Warehouse, tmp_path: Path, column: str, refunded: str
) -> None:
    land(models, tmp_path, [*PAYMENTS, column], [*PAYMENT, refunded])
    [row] = models.fold()
    assert (row["outcome"], row["is_success"], str(row["refunded_amount"])) == (
        "refund", False, "1000.00",
    )  # fmt: skip


@pytest.mark.parametrize("refunded", ["", "0", "0.00", "-", "NA"])
def test_a_payment_of_which_nothing_was_refunded_is_a_success(
    models: Warehouse, tmp_path: Path, refunded: str
) -> None:
    land(models, tmp_path, [*PAYMENTS, "Amount Refunded"], [*PAYMENT, refunded])
    [row] = models.fold()
    assert (row["outcome"], row["is_success"], row["refunded_amount"]) == ("success", True, 0)


@pytest.mark.parametrize(
    "settled_at",
    ["2025-11-20T10:15:00", "20/11/2025 10:15:00", "20-11-2025", "20/11/2025", "2025-11-20"],
)
def test_the_lines_of_a_payout_are_added_up_as_they_are_written(
    models: Warehouse, tmp_path: Path, settled_at: str
) -> None:
    about = ["19/11/2025 08:40:00", "setl_1", settled_at, "U1", "UGRO-LN-1"]
    land(
        models,
        tmp_path,
        LINES,
        ["payment", "pay_1", "12,500.50", "2.00", "0.36", "", "₹ 12,498.14", *about],
        ["refund", "rfnd_1", "500", "", "", "500.00", "", *about],
    )
    models.build_all()
    [payout] = models.rows('SELECT * FROM "CORE"."CORE_SETTLEMENT_LINES"')
    told = {name: str(payout[name]) for name in ("lines", "unread_lines", "net", "settled_on")}
    assert told == {
        "lines": "2",
        "unread_lines": "0",
        "net": "11998.14",
        "settled_on": "2025-11-20",
    }
