"""How the observations of one payment become its row of CORE."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform_tests.dbt_once import run_dbt_here
from repayment_platform_tests.transformation.warehouse import START, Row, Warehouse

NACH, PAYMENT, ARTHMATE = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV", "RAW_ARTHMATE_NACH_CSV"
API, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
SAMPLES = Path(__file__).parents[1] / "samples" / "webhooks"
COLUMNS = {
    "source_key": "text", "source_lender": "text", "loan_external_id": "text",
    "payment_date": "date", "amount": "numeric(19,2)", "is_success": "boolean",
    "recon_source": "text", "payment_ref": "text", "outcome": "text",
    "not_repayment_reason": "text", "refunded_amount": "numeric(19,2)", "method": "text",
    "utr": "text", "umrn": "text", "loan_id_found_in": "text", "key_rule": "text",
    "observations": "integer", "sources": "text[]", "first_raw_id": "bigint",
    "last_raw_id": "bigint", "first_landed_at": "timestamp with time zone",
    "last_landed_at": "timestamp with time zone", "batch": "bigint", "conflict": "text",
    "earliest_day": "date",
    "is_disputed": "boolean",
}  # fmt: skip


def only(rows: list[Row]) -> Row:
    [row] = rows
    return row


def test_the_table_has_the_columns_that_others_rely_on(models: Warehouse) -> None:
    columns = models.rows(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        ' WHERE attrelid = \'"CORE"."CORE_TRANSACTION_DATA"\'::regclass AND attnum > 0'
        " ORDER BY attnum"
    )
    assert [(column["attname"], column["type"]) for column in columns] == list(COLUMNS.items())


def test_the_key_is_a_primary_key(models: Warehouse) -> None:
    key = models.rows(
        "SELECT pg_get_constraintdef(oid) AS key FROM pg_constraint"
        " WHERE conrelid = '\"CORE\".\"CORE_TRANSACTION_DATA\"'::regclass AND contype = 'p'"
    )
    assert key == [{"key": "PRIMARY KEY (source_key)"}]


def test_one_payment_reported_by_webhook_and_file_is_one_row(models: Warehouse) -> None:
    event = models.event(API, (SAMPLES / "razorpay_payment_captured.json").read_text())
    line = models.file_row(
        REPORT, "UGRO-LN-000123", "12500.50", "2025-11-19", ref="razorpay:pay_SYN0000000001"
    )
    row = only(models.fold())
    assert row["source_lender"] == "UGRO"
    assert row["loan_external_id"] == "UGRO-LN-000123"
    assert (row["amount"], row["payment_date"]) == (Decimal("12500.50"), date(2025, 11, 19))
    assert (row["is_success"], row["outcome"], row["not_repayment_reason"]) == (
        True, "success", None,
    )  # fmt: skip
    assert (row["recon_source"], row["key_rule"]) == ("RAZORPAY", "new")
    assert row["sources"] == [REPORT, API]
    assert (row["observations"], row["first_raw_id"], row["last_raw_id"]) == (2, event, line)
    assert row["first_landed_at"] < row["last_landed_at"]


@pytest.mark.parametrize(
    ("table", "loan", "ref", "outcome"),
    [
        (NACH, "DMI-APP-1", "nach-dmi:1", "late_return"),
        (REPORT, "UGRO-LN-1", "razorpay:pay_1", "success"),
    ],
)
def test_a_failure_after_the_success_takes_back_what_a_bank_reports_and_not_what_a_gateway_does(
    models: Warehouse, table: str, loan: str, ref: str, outcome: str
) -> None:
    models.file_row(table, loan, ref=ref)
    models.fold()
    models.file_row(table, loan, outcome="failed", ref=ref)
    row = only(models.fold())
    assert (row["outcome"], row["observations"]) == (outcome, 2)
    assert row["is_success"] is (outcome == "success")


@pytest.mark.parametrize("refund_first", [True, False])
def test_a_refunded_payment_is_no_repayment_whatever_came_first(
    models: Warehouse, refund_first: bool
) -> None:
    names = ["razorpay_payment_captured", "razorpay_refund_processed"]
    for name in reversed(names) if refund_first else names:
        models.event(API, (SAMPLES / f"{name}.json").read_text())
        rows = models.fold()
    row = only(rows)
    assert (row["is_success"], row["outcome"]) == (False, "refund")
    assert (row["not_repayment_reason"], row["refunded_amount"]) == ("refunded", Decimal("500.50"))
    assert row["amount"] == Decimal("12500.50")


def test_a_late_return_takes_the_repayment_back(models: Warehouse) -> None:
    models.file_row(NACH, ref="nach:1")
    models.fold()
    models.file_row(NACH, outcome="late_return", ref="nach:1")
    row = only(models.fold())
    assert (row["is_success"], row["outcome"], row["key_rule"]) == (False, "late_return", "new")
    assert row["not_repayment_reason"]


@pytest.mark.parametrize("file_is_first", [True, False])
def test_a_payment_that_one_report_objects_to_is_no_repayment_whatever_another_says(
    models: Warehouse, file_is_first: bool
) -> None:
    event = json.loads((SAMPLES / "razorpay_payment_captured.json").read_text())
    event["payload"]["payment"]["entity"]["currency"] = "USD"

    def land_file() -> None:
        models.file_row(
            REPORT, "UGRO-LN-000123", "12500.50", "2025-11-19", ref="razorpay:pay_SYN0000000001"
        )

    if file_is_first:
        land_file()
        assert only(models.fold())["is_success"]
    models.event(API, event)
    if not file_is_first:
        land_file()
    row = only(models.fold())
    assert (row["observations"], row["is_success"]) == (2, False)
    assert row["not_repayment_reason"] == "paid in USD"


def test_a_provisional_row_gives_way_to_the_proper_one(models: Warehouse) -> None:
    models.file_row(NACH, outcome="pending", ref="nach:1")
    provisional = only(models.build())
    assert (provisional["key_rule"], provisional["is_success"]) == ("provisional", False)
    models.file_row(NACH, ref="nach:1")
    proper = only(models.build())
    assert (proper["key_rule"], proper["observations"]) == ("new", 2)
    assert proper["source_key"] != provisional["source_key"]
    assert proper["batch"] > provisional["batch"]


def test_a_success_without_a_loan_is_seen_but_never_postable(models: Warehouse) -> None:
    models.file_row(NACH, loan=None, ref="nach:1")
    row = only(models.fold())
    assert (row["is_success"], row["loan_external_id"]) == (True, None)


def test_a_loan_that_a_corrected_view_shows_counts_once_the_key_is_decided_again(
    models: Warehouse,
) -> None:
    models.file_row(NACH, loan=None, ref="nach:1")
    provisional = only(models.fold())
    models.connection.execute('UPDATE "RAW"."RAW_DMI_NACH_CSV" SET loan_ref = \'DMI-APP-1\'')
    assert only(models.fold())["loan_external_id"] is None
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) VALUES (%s, %s)',
        (provisional["source_key"], "the model reads the loan now"),
    )
    row = only(models.fold())
    assert (row["loan_external_id"], row["key_rule"]) == ("DMI-APP-1", "new")


def test_a_mapped_loan_brings_the_payment_to_its_loan(models: Warehouse) -> None:
    models.file_row(NACH, loan=None, ref="nach:1")
    models.fold()
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_LOAN_MAPPING" (payment_ref, loan_external_id, mapped_by,'
        " mapped_why) VALUES ('nach:1', 'DMI-APP-5', 'asha', 'named by the borrower')"
    )
    row = only(models.fold())
    assert (row["loan_external_id"], row["key_rule"]) == ("DMI-APP-5", "new")


def test_a_refold_computes_a_row_again_and_gives_it_a_new_batch(models: Warehouse) -> None:
    """A person's word fills what names no loan and changes no loan that a report names."""
    models.file_row(NACH, ref="nach:1")
    before = only(models.build())
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_LOAN_MAPPING" (payment_ref, loan_external_id, mapped_by,'
        " mapped_why) VALUES ('nach:1', 'DMI-APP-5', 'asha', 'the borrower has two loans')"
    )
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) VALUES (%s, %s)',
        (before["source_key"], "mapped"),
    )
    after = only(models.build())
    assert after["source_key"] == before["source_key"]
    assert after["loan_external_id"] == "DMI-APP-1"
    assert after["batch"] > before["batch"]


def test_a_correction_replaces_what_the_row_said(models: Warehouse) -> None:
    row = models.file_row(ARTHMATE, "ARTH-LN-1", "500.00")
    models.fold()
    models.file_row(ARTHMATE, "ARTH-LN-1", "600.00", replaces_id=row)
    last = models.file_row(ARTHMATE, "ARTH-LN-1", "700.00", replaces_id=row)
    corrected = only(models.fold())
    assert corrected["amount"] == Decimal("700.00")
    assert (corrected["observations"], corrected["last_raw_id"]) == (1, last)
    assert (corrected["first_raw_id"], corrected["first_landed_at"] > START) == (row, True)


def test_a_withdrawn_payment_is_no_repayment_any_more(models: Warehouse) -> None:
    row = models.file_row(ARTHMATE, "ARTH-LN-1")
    models.fold()
    models.file_row(ARTHMATE, "ARTH-LN-1", outcome="withdrawn", replaces_id=row)
    withdrawn = only(models.fold())
    assert (withdrawn["is_success"], withdrawn["outcome"]) == (False, "withdrawn")


def test_a_withdrawn_row_takes_back_its_own_report_and_no_other(models: Warehouse) -> None:
    """It counts for nothing: not the day or the refund that it told of either."""
    row = models.file_row(PAYMENT, on="2025-11-04", ref="dmi:T1")
    models.file_row(PAYMENT, on="2025-11-05", ref="dmi:T1")
    key = only(models.fold())["source_key"]
    models.file_row(PAYMENT, on="2025-11-04", ref="dmi:T1", outcome="withdrawn", replaces_id=row)
    left = only(models.fold())
    assert (left["source_key"], left["is_success"], left["outcome"]) == (key, True, "success")
    assert str(left["payment_date"]) == "2025-11-05"
    assert (left["observations"], left["not_repayment_reason"]) == (1, None)


def test_a_withdrawn_report_of_a_refund_makes_it_a_payment_again(models: Warehouse) -> None:
    models.file_row(PAYMENT, ref="dmi:T1")
    refund = models.file_row(PAYMENT, ref="dmi:T1", outcome="refund")
    assert only(models.fold())["is_success"] is False
    models.file_row(PAYMENT, ref="dmi:T1", outcome="withdrawn", replaces_id=refund)
    row = only(models.fold())
    assert (row["is_success"], row["outcome"], row["refunded_amount"]) == (True, "success", 0)


def test_a_payment_whose_only_row_turns_out_to_be_another_payments_is_withdrawn(
    models: Warehouse,
) -> None:
    row = models.file_row(NACH, "DMI-APP-1", ref="nach:1")
    models.file_row(NACH, "DMI-APP-2", ref="nach:2")
    models.fold()
    models.file_row(NACH, "DMI-APP-2", ref="nach:2", replaces_id=row)
    by_loan = {row["loan_external_id"]: row for row in models.fold()}
    assert by_loan["DMI-APP-1"]["outcome"] == "withdrawn"
    assert by_loan["DMI-APP-1"]["is_success"] is False
    assert by_loan["DMI-APP-2"]["is_success"] is True


def test_recon_source_and_order_come_from_the_first_observation(models: Warehouse) -> None:
    event = json.loads((SAMPLES / "razorpay_payment_captured.json").read_text())
    nach: dict[str, Any] = {"ref": "nach:1", "landed_at": START}
    models.event(API, event)
    models.file_row("RAW_UGRO_NACH_CSV", "UGRO-LN-1", **nach)
    rows = {row["payment_ref"]: row["recon_source"] for row in models.fold()}
    assert rows == {"razorpay:pay_SYN0000000001": "RAZORPAY", "nach:1": "NACH"}


def test_a_full_refresh_leaves_views_on_the_table_alone(models: Warehouse) -> None:
    models.file_row(NACH, ref="nach:1")
    before = models.build()
    models.connection.execute(
        'CREATE VIEW "CORE".of_an_operator AS SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA"'
    )
    assert models.build(full_refresh=True) == before
    assert run_dbt_here(models.urls, "run", "--select", "core_observation").success
    assert len(models.rows('SELECT * FROM "CORE".of_an_operator')) == 1


@pytest.mark.parametrize("decision", [Decision.SAME_PAYMENT, Decision.NOT_A_REPAYMENT])
def test_a_held_payment_that_a_person_rules_out_is_no_repayment_from_the_next_run_on(
    models: Warehouse, decision: Decision
) -> None:
    for _ in range(2):
        models.file_row(ARTHMATE, "ARTH-LN-1", "100.00", "2025-11-20", file_id=1, landed_at=START)
    models.build()
    [hold] = open_holds(models.connection)

    decide(models.connection, hold.id, decision, "asha", "the lender sent the row twice")
    rows = {row["source_key"]: row for row in models.build()}

    assert sorted(row["is_success"] for row in rows.values()) == [False, True]
    assert "an operator says" in rows[hold.source_key]["not_repayment_reason"]
