"""Cashfree's settlement report beside its webhooks: one payment, its refunds, and the payouts."""

import random
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform_tests.sources.settlement_recon import (
    PAYMENT,
    REFUND,
    SAMPLE,
    Event,
    event,
    recon_file,
    sections,
    tagged,
)
from repayment_platform_tests.sources.workbooks import write_workbook
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

API, REPORT = "RAW_GB_CASHFREE_API", "RAW_GB_PAYMENT_CASHFREE"
CF_PAYMENT, ORDER, LOAN = "5114900000001", "CFPay_abc_1", "GB-LN-00045"
UTR = "1644822317781212"
"""As Cashfree's example of a webhook has it: there a number, in the file a text."""


def land(models: Warehouse, folder: Path, *events: Event) -> FileResult:
    path = folder / f"settlement recon {models.landed}.csv"
    models.landed += 1
    path.write_text(recon_file(*events), newline="")
    return ingest_file(models.urls.psycopg, path, REPORT, received_by="test")


def records(models: Warehouse, *, full_refresh: bool = False) -> list[Row]:
    models.build_all(full_refresh=full_refresh)
    return models.rows('SELECT * FROM "CORE"."CORE_RECON_RECORD" ORDER BY payment_ref, source_key')


def payouts(models: Warehouse) -> list[Row]:
    return models.rows('SELECT * FROM "CORE"."CORE_SETTLEMENT" ORDER BY settlement_utr')


def told(row: Row) -> tuple[str, bool, str]:
    return row["outcome"], row["is_success"], f"{row['refunded_amount']:.2f}"


def paid_by_webhook(order: str = "GB-LN-00045_EMI5_1") -> Any:
    body = sample("cashfree_payment_success")
    body["data"]["order"] |= {"order_id": order}
    return body


def refund_by_webhook(number: str, amount: float) -> Any:
    refund = {
        "cf_payment_id": CF_PAYMENT, "cf_refund_id": number, "refund_id": f"r{number}",
        "order_id": "GB-LN-00045_EMI5_1", "refund_type": "MERCHANT_INITIATED",
        "refund_amount": amount, "refund_status": "SUCCESS", "refund_arn": None,
    }  # fmt: skip
    return {"type": "REFUND_STATUS_WEBHOOK", "data": {"refund": refund}}


# ── the file ────────────────────────────────────────────────────────────────────────────────


def test_the_sample_lands_as_text_and_as_workbook_with_the_same_meaning(
    models: Warehouse, tmp_path: Path
) -> None:
    seen = []
    settlements, details = sections([PAYMENT, REFUND])
    book = tmp_path / "recon.xlsx"
    write_workbook(book, {"Settlements": settlements, "Reconciliation Details": details})
    for path in (SAMPLE, book):
        result = ingest_file(models.urls.psycopg, path, REPORT, received_by="test")
        assert (result.status, result.rows_landed, result.rows_quarantined) == ("landed", 2, 0)
        seen.append(
            [{**row, "raw_id": 0, "landed_at": 0, "file_id": 0} for row in models.base(REPORT)[-2:]]
        )
    assert seen[0] == seen[1]
    payment, refund = seen[0]
    assert (payment["loan_external_id"], str(payment["amount"])) == (LOAN, "12500.50")
    assert (str(payment["payment_date"]), str(refund["payment_date"])) == (
        "2025-11-19", "2025-11-20",
    )  # fmt: skip
    assert (refund["refund_id"], str(refund["refunded_amount"])) == ("4387450091", "500.50")


def test_a_file_without_the_line_between_its_tables_fails_and_says_so(
    models: Warehouse, tmp_path: Path
) -> None:
    path = tmp_path / "recon.csv"
    path.write_text(recon_file(PAYMENT).replace("** Settlement Reconciliation Details **", ""))
    result = ingest_file(models.urls.psycopg, path, REPORT, received_by="test")
    [entry] = models.rows(
        'SELECT status, error FROM "CORE"."CORE_FILE_LOG" WHERE id = %s', (result.file_id,)
    )
    assert entry["status"] == "failed"
    assert entry["error"] == (
        "MISSING_HEADER_COLUMN: cashfree settlement recon: "
        "no line 'Reconciliation Details' above the table"
    )
    assert models.base(REPORT) == []


def test_a_day_without_a_settlement_lands_as_a_file_of_no_rows(
    models: Warehouse, tmp_path: Path
) -> None:
    result = land(models, tmp_path)
    assert (result.status, result.rows_read) == ("landed", 0)


# ── one payment ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [*permutations(["payment", "link", "line"])])
def test_webhook_link_event_and_line_are_one_matched_payment_in_every_order(
    models: Warehouse, tmp_path: Path, order: tuple[str, ...]
) -> None:
    """The link's event does not know cf_payment_id, but all three name the link's order."""
    link = sample("cashfree_payment_link_event")
    link["data"]["order"] |= {"order_id": ORDER, "order_amount": "12500.50"}
    for name in order:
        if name == "line":
            land(models, tmp_path, PAYMENT | {"Merchant Reference Id": ORDER})
        else:
            models.event(API, link if name == "link" else paid_by_webhook(ORDER))
        models.assign_keys()
    [record] = records(models)
    assert (record["match_status"], record["payment_ref"]) == (
        "matched", f"cashfree:{CF_PAYMENT}",
    )  # fmt: skip
    assert (record["gateway_amount"], record["settled_amount"]) == (record["amount"],) * 2
    assert (str(record["amount"]), str(record["payment_date"])) == ("12500.50", "2025-11-19")
    [row] = models.core()
    assert (row["observations"], row["sources"], row["loan_external_id"]) == (
        3, [API, REPORT], LOAN,
    )  # fmt: skip


def test_a_payment_whose_webhook_was_lost_is_keyed_once_and_the_late_webhook_joins_it(
    models: Warehouse, tmp_path: Path
) -> None:
    land(models, tmp_path, PAYMENT)
    [lost] = records(models)
    assert lost["match_status"] == "settlement_only"
    assert lost["match_reason"] == "in a settlement, but the gateway sent no event"
    models.event(API, paid_by_webhook())
    [found] = records(models)
    assert (found["match_status"], found["source_key"]) == ("matched", lost["source_key"])


def test_a_payment_without_a_loan_in_its_order_gets_it_from_the_orders_tags(
    models: Warehouse, tmp_path: Path
) -> None:
    walk_in = {"Merchant_Reference_Id": "walkin_7", **tagged(loan_id="gb-ln-00045/EMI5")}
    land(models, tmp_path, event("PAYMENT", 1, "500.00", "498.00", **walk_in))
    [record] = records(models)
    assert (record["loan_external_id"], record["match_status"]) == (LOAN, "settlement_only")


def test_two_equal_payments_of_one_day_stay_two(models: Warehouse, tmp_path: Path) -> None:
    rows = [
        event("PAYMENT", n, "500.00", "498.00", CashFree_Reference_Id=f"51149{n}") for n in (1, 2)
    ]
    land(models, tmp_path, *rows)
    assert [record["match_status"] for record in records(models)] == ["settlement_only"] * 2
    assert models.holds() == []


@pytest.mark.parametrize(
    "kind", ["CHARGEBACK_REVERSE", "DISPUTE_REVERSE", "RISK", "RISK_REVERSE", "OTHER_ADJUSTMENT"]
)
def test_what_is_no_payment_becomes_none_and_leaves_the_payment_as_it_is(
    models: Warehouse, tmp_path: Path, kind: str
) -> None:
    models.event(API, paid_by_webhook())
    land(models, tmp_path, event(kind, 7, "12500.50", "-12500.50"))
    [record] = records(models)
    assert record["match_status"] == "gateway_only"
    assert sorted((row["outcome"], row["is_success"]) for row in models.core()) == [
        ("failed", False), ("success", True),
    ]  # fmt: skip


# ── money that went back ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
def test_a_refund_told_by_webhook_and_settlement_is_counted_once_in_any_order(
    models: Warehouse, tmp_path: Path, seed: int
) -> None:
    """Their ids differ and nothing else proves them the same, so the larger sum counts."""
    rng = random.Random(seed)
    line = event("REFUND", 2, "500.50", "-500.50")
    arrivals: list[Any] = [
        paid_by_webhook(), PAYMENT, refund_by_webhook("11", 500.5), line, [PAYMENT, line],
    ]  # fmt: skip
    for arrival in rng.sample(arrivals, len(arrivals)):
        if "type" in arrival:
            models.event(API, arrival)
        else:
            land(models, tmp_path, *(arrival if isinstance(arrival, list) else [arrival]))
        if rng.random() < 0.5:
            models.assign_keys()
    [record] = records(models)
    assert (record["match_status"], record["match_reason"]) == ("reversed", "refunded")
    [row] = models.core()
    assert told(row) == ("refund", False, "500.50")
    assert (str(row["amount"]), str(row["payment_date"])) == ("12500.50", "2025-11-19")


def test_refunds_of_one_report_add_up_and_the_report_that_knows_more_counts(
    models: Warehouse, tmp_path: Path
) -> None:
    models.event(API, paid_by_webhook())
    models.event(API, refund_by_webhook("11", 100.0))
    first, second = (
        event("REFUND", n, amount, f"-{amount}") for n, amount in ((2, "100.00"), (3, "250.00"))
    )
    land(models, tmp_path, first, second)
    land(models, tmp_path, second)  # in another download
    [row] = models.build()
    assert told(row) == ("refund", False, "350.00")


@pytest.mark.parametrize("kind", ["CHARGEBACK", "DISPUTE"])
@pytest.mark.parametrize("amount", ["12500.50", "5000.00"])
def test_a_chargeback_takes_the_payment_back_whatever_part_and_order_id_it_has(
    models: Warehouse, tmp_path: Path, kind: str, amount: str
) -> None:
    land(models, tmp_path, PAYMENT, event(kind, 2, amount, f"-{amount}", Merchant_Reference_Id=""))
    [row] = models.build()
    assert told(row) == ("late_return", False, amount)
    assert row["not_repayment_reason"] == f"returned after it had been reported as paid: {kind}"


def test_a_reversed_chargeback_is_left_to_a_person(models: Warehouse, tmp_path: Path) -> None:
    rows = (
        event("CHARGEBACK", 2, "12500.50", "-12500.50"),
        event("CHARGEBACK_REVERSE", 3, "12500.50", "12500.50"),
    )
    land(models, tmp_path, PAYMENT, *rows)
    assert not any(row["is_success"] for row in models.build())


# ── payouts ─────────────────────────────────────────────────────────────────────────────────


def announce(models: Warehouse, utr: int | str, net: float, gross: float) -> None:
    body = sample("cashfree_settlement_success")
    facts = {"utr": utr, "amount_settled": net, "payment_amount": gross}
    body["data"]["settlement"] |= facts
    models.event(API, body, event_type="SETTLEMENT_SUCCESS")


def test_the_lines_of_a_payout_are_set_against_what_cashfree_announced(
    models: Warehouse, tmp_path: Path
) -> None:
    announce(models, int(UTR), 11971.47, 12500.5)
    announce(models, "AXIS2", 498.0, 500.0)
    announce(models, "AXIS3", 498.0, 501.0)
    announce(models, "AXIS4", 498.0, 500.0)

    def paid(number: int, utr: str) -> Event:
        reference = {"CashFree_Reference_Id": f"5114{number}", "UTR": utr}
        return event("PAYMENT", number, "500.00", "498.00", **reference)

    land(
        models, tmp_path, PAYMENT | {"UTR": UTR}, REFUND | {"UTR": UTR}, paid(2, "AXIS2"),
        event("OTHER_ADJUSTMENT", 3, "8.00", "-8.00", UTR="AXIS2"), paid(4, "AXIS3"),
        paid(5, "AXIS5"),
    )  # fmt: skip
    land(models, tmp_path, PAYMENT | {"UTR": UTR})  # the same line in another download
    records(models)
    found = payouts(models)
    assert [(row["settlement_utr"], row["agreed"], row["verdict"]) for row in found] == [
        (UTR, True, "the lines add up to what was announced"),
        ("AXIS2", False, "the lines add up to 490.00, announced were 498.00"),
        ("AXIS3", False, "the payments add up to 500.00, announced were 501.00"),
        ("AXIS4", None, "announced by the gateway, no line of it has come"),
        ("AXIS5", None, "not announced by the gateway"),
    ]  # fmt: skip
    sums = [str(found[0][f"lines_{name}"]) for name in ("gross", "refunds", "fees", "net")]
    assert sums == ["12500.50", "500.50", "28.53", "11971.47"]
    assert (found[0]["settlement_id"], str(found[-1]["settled_on"])) == ("208386848", "2025-11-20")


def test_a_run_adds_up_again_only_what_has_new_lines_and_equals_a_rebuild(
    models: Warehouse, tmp_path: Path
) -> None:
    lines = 'SELECT * FROM "CORE"."CORE_SETTLEMENT_LINES" ORDER BY settlement_utr'
    land(models, tmp_path, PAYMENT)
    land(models, tmp_path, event("PAYMENT", 1, "5.00", "4.00", CashFree_Reference_Id="1", UTR="U2"))
    records(models)
    before = models.rows(lines)
    land(models, tmp_path, REFUND)
    records(models)
    after = models.rows(lines)
    assert [(row["settlement_utr"], str(row["net"])) for row in after] == [
        ("AXISCN1169000001", "11971.47"), ("U2", "4.00"),
    ]  # fmt: skip
    assert after[1] == before[1]
    assert after[0]["batch"] > before[0]["batch"]
    records(models, full_refresh=True)
    assert models.rows(lines) == after
