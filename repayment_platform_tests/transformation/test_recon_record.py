"""Recon records: what the reports of one payment say, and whether they agree."""

from typing import Any

import pytest
from psycopg.types.json import Json

from repayment_platform_tests.transformation.warehouse import Row, Warehouse

GATEWAY, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
LENDER_FILE, VIVRITI = "RAW_VIVRITI_PAYMENT_CSV", "RAW_VIVRITI_RAZORPAY_API"
NOON = 1763521800  # 19 November 2025, 08:40 in Kolkata


def captured(pay: str, loan: str | None, paise: int = 100000, **payment: Any) -> Row:
    entity = {
        "id": pay,
        "amount": paise,
        "currency": "INR",
        "status": "captured",
        "amount_refunded": 0,
        "notes": {"loan_id": loan} if loan else [],
        "created_at": NOON,
    }
    return {"event": "payment.captured", "payload": {"payment": {"entity": entity | payment}}}


def settled(models: Warehouse, pay: str, loan: str | None, amount: str = "1000.00") -> int:
    return models.file_row(
        REPORT, loan, amount, "2025-11-19", ref=f"razorpay:{pay}", utr="AXISCN1",
    )  # fmt: skip


def records(models: Warehouse, *, full_refresh: bool = False) -> dict[str, Row]:
    """The records, by the id of the payment or else its loan."""
    models.build_all(full_refresh=full_refresh)
    rows = models.rows('SELECT * FROM "CORE"."CORE_RECON_RECORD" ORDER BY source_key')
    return {(row["payment_ref"] or row["loan_external_id"]).split(":")[-1]: row for row in rows}


def test_each_payment_says_how_its_reports_agree(models: Warehouse) -> None:
    for n, pay in enumerate(("pay_both", "pay_gateway", "pay_differs", "pay_refunded"), 1):
        models.event(GATEWAY, captured(pay, f"UGRO-LN-{n}"))
    models.event(GATEWAY, captured("pay_nobody", None))
    settled(models, "pay_both", "UGRO-LN-1")
    settled(models, "pay_differs", "UGRO-LN-3", "999.00")
    settled(models, "pay_lost", "UGRO-LN-5")
    models.file_row(
        REPORT, None, "1000.00", "2025-11-21", "refund", ref="razorpay:pay_refunded", utr="AXISCN2"
    )
    models.file_row("RAW_UGRO_NACH_CSV", "UGRO-LN-6", ref="nach-ugro:1", umrn="U1", utr="N1")
    models.file_row("RAW_UGRO_NACH_CSV", "UGRO-LN-7", outcome="return", ref="nach-ugro:2")
    found = records(models)
    assert {pay: row["match_status"] for pay, row in found.items()} == {
        "pay_both": "matched",
        "pay_gateway": "gateway_only",
        "pay_differs": "amount_differs",
        "pay_refunded": "reversed",
        "pay_nobody": "loan_unknown",
        "pay_lost": "settlement_only",
        "1": "matched",
    }
    assert found["pay_both"]["match_reason"] == "gateway and settlement agree"
    assert found["pay_both"]["settlement_utr"] == "AXISCN1"
    assert found["pay_both"]["utr"] is None
    assert found["pay_differs"]["match_reason"] == "gateway 1000.00, settled 999.00"
    assert found["pay_refunded"]["match_reason"] == "refunded"
    assert found["1"]["match_reason"] == "the bank's file reports the debit as paid"
    assert (found["1"]["umrn"], found["1"]["utr"]) == ("U1", "N1")


def test_a_lenders_file_confirms_a_gateways_payment(models: Warehouse) -> None:
    models.event(VIVRITI, captured("pay_v", "VIV-LN-1"))
    models.file_row(LENDER_FILE, "VIV-LN-1", "1000.00", "2025-11-20", utr="UTR1")
    models.file_row(LENDER_FILE, "VIV-LN-2", "500.00", "2025-11-20", utr="UTR2")
    found = records(models)
    assert found["pay_v"]["match_reason"] == "gateway and lender's file agree"
    assert found["pay_v"]["lender_amount"] == found["pay_v"]["gateway_amount"]
    assert found["VIV-LN-2"]["match_status"] == "settlement_only"


def test_a_run_goes_on_from_the_last_and_equals_a_rebuild(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", "UGRO-LN-1"))
    models.event(GATEWAY, captured("pay_2", None))
    line = settled(models, "pay_3", "UGRO-LN-3", "10.00")
    assert records(models)["pay_1"]["match_status"] == "gateway_only"
    settled(models, "pay_1", "UGRO-LN-1")
    settled(models, "pay_2", "UGRO-LN-2")
    models.file_row(
        REPORT, "UGRO-LN-3", "11.00", "2025-11-19", ref="razorpay:pay_3", utr="AXISCN9",
        replaces_id=line,
    )  # fmt: skip
    went_on = records(models)
    lines = 'SELECT * FROM "CORE"."CORE_SETTLEMENT_LINES" ORDER BY 1, 2'
    sums = models.rows(lines)
    assert {pay: row["match_status"] for pay, row in went_on.items()} == {
        "pay_1": "matched",
        "pay_2": "matched",
        "pay_3": "settlement_only",
    }
    assert [(row["settlement_utr"], row["lines"], str(row["gross"])) for row in sums] == [
        ("AXISCN1", 2, "2000.00"),
        ("AXISCN9", 1, "11.00"),
    ]
    assert records(models, full_refresh=True) == went_on
    assert models.rows(lines) == sums


def line(utr: str, entity: str, kind: str, amount: str, debit: str, credit: str) -> Row:
    cells = {
        "Entity_ID": entity,
        "debit": debit,
        "Credit ": credit,
        "settlement_id": f"setl_{utr}",
        "settled_at": "2025-11-20T10:15:00",
    }
    outcome = {"payment": "success", "refund": "refund", "adjustment": "failed"}[kind]
    return {"amount": amount, "outcome": outcome, "utr": utr, "cells": Json(cells)}


def test_a_settlements_lines_are_set_against_what_was_announced(models: Warehouse) -> None:
    for utr, amount in (("U1", 139528), ("U2", 50000), ("U3", 100)):
        entity = {"id": f"setl_{utr}", "utr": utr, "amount": amount, "status": "processed",
                  "fees": 0, "tax": 0, "created_at": NOON}  # fmt: skip
        models.event(
            GATEWAY,
            {"event": "settlement.processed", "payload": {"settlement": {"entity": entity}}},
            event_type="settlement.processed",
        )
    for row in (
        line("U1", "pay_1", "payment", "1000.00", "0.0", "997.64"),
        line("U1", "pay_2", "payment", "500.00", "0.0", "497.64"),
        line("U1", "pay_2", "payment", "500.00", "0.0", "497.64"),  # the same, downloaded again
        line("U1", "rfnd_1", "refund", "100.00", "100.00", "0.0"),
        line("U2", "pay_3", "payment", "500.00", "0.0", "497.64"),
        line("U4", "adj_1", "adjustment", "5.00", "5.00", "0.0"),
    ):
        ref = f"razorpay:{row['cells'].obj['Entity_ID']}" if row["outcome"] == "success" else None
        models.file_row(REPORT, "UGRO-LN-1", on="2025-11-19", ref=ref, **row)
    records(models)
    found = models.rows('SELECT * FROM "CORE"."CORE_SETTLEMENT" ORDER BY settlement_utr')
    assert [(row["settlement_utr"], row["agreed"], row["verdict"]) for row in found] == [
        ("U1", True, "the lines add up to what was announced"),
        ("U2", False, "the lines add up to 497.64, announced were 500.00"),
        ("U3", None, "announced by the gateway, no line of it has come"),
        ("U4", None, "not announced by the gateway"),
    ]  # fmt: skip
    first = found[0]
    told = {
        name: str(first[name]) for name in ("lines", "lines_gross", "lines_refunds", "lines_fees")
    }
    assert told == {
        "lines": "3",
        "lines_gross": "1500.00",
        "lines_refunds": "100.00",
        "lines_fees": "4.72",
    }


def test_an_announced_payout_of_cashfree_shows_its_gross_and_fees(models: Warehouse) -> None:
    settlement = {"settlement_id": 7, "status": "SUCCESS", "utr": 1644822317781212,
                  "amount_settled": 971.47, "payment_amount": 1000, "service_charge": 24.18,
                  "service_tax": 4.35, "settled_on": "2025-11-20T15:35:50+05:30"}  # fmt: skip
    models.event(
        "RAW_GB_CASHFREE_API",
        {"type": "SETTLEMENT_SUCCESS", "data": {"settlement": settlement}},
        event_type="SETTLEMENT_SUCCESS",
    )
    (row,) = models.rows('SELECT * FROM "CORE"."CORE_SETTLEMENT"')
    assert (row["settlement_utr"], str(row["stated_gross"]), str(row["stated_fees"])) == (
        "1644822317781212",
        "1000.00",
        "28.53",
    )


def test_neither_refunds_nor_fees_of_a_settlement_become_repayments(models: Warehouse) -> None:
    refund = line("U1", "rfnd_1", "refund", "100.00", "100.00", "0.0")
    models.file_row(REPORT, None, on="2025-11-19", ref="razorpay:pay_1", **refund)
    fee = line("U1", "adj_1", "adjustment", "5.00", "5.00", "0.0")
    models.file_row(REPORT, "UGRO-LN-1", on="2025-11-19", **fee)
    assert {row["match_status"] for row in records(models).values()} == {"reversed"}
    assert not any(row["is_success"] for row in models.core())


def test_what_is_undone_is_shown_as_that_with_what_became_of_it(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", "UGRO-LN-1"))
    records(models)
    what = "was changed in the ledger to 60.00 (transaction 7)"
    models.connection.execute(
        """INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status,
               loan_external_id, payment_date, amount, error_text, run_id)
           SELECT source_key, source_lender, 'undone', loan_external_id, payment_date, amount, %s,
               'run' FROM "CORE"."CORE_TRANSACTION_DATA";
        """,
        (what,),
    )
    (row,) = models.rows('SELECT * FROM "CORE"."CORE_RECON_STATUS"')
    assert (row["posting_status"], row["posting_reason"]) == ("undone", what)


@pytest.mark.parametrize(("state", "status"), [(None, "waiting"), ("held", "held")])
def test_the_status_of_posting_is_shown_beside_the_record(
    models: Warehouse, state: str | None, status: str
) -> None:
    models.event(GATEWAY, captured("pay_1", "UGRO-LN-1"))
    records(models)
    if state:
        models.connection.execute(
            """INSERT INTO "CORE"."CORE_OPEN_WORK" (source_key, source_lender, loan_external_id,
                   payment_date, amount, state, reason)
               SELECT source_key, source_lender, loan_external_id, payment_date, amount, %s, 'why'
               FROM "CORE"."CORE_TRANSACTION_DATA" """,
            (state,),
        )
    (row,) = models.rows('SELECT * FROM "CORE"."CORE_RECON_STATUS"')
    assert row["posting_status"] == status
    models.connection.execute('TRUNCATE "CORE"."CORE_OPEN_WORK"')
