"""The whole way: what is sent lands, becomes one row of CORE, and one repayment."""

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.sources.registry import SOURCES
from repayment_platform_tests.conftest import Sandbox, settings_of
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.warehouse import Row, Warehouse
from repayment_platform_tests.web.receiving import Receiver, start

SAMPLES = Path(__file__).parents[1] / "samples"
API, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
GATEWAY, LENDER = "RAW_VIVRITI_RAZORPAY_API", "RAW_VIVRITI_PAYMENT_CSV"
CASHFREE = "RAW_GB_CASHFREE_API"


# ── the samples ─────────────────────────────────────────────────────────────────────────────

# What each sample means: the payments of CORE that it makes, or none.
Meaning = tuple[str | None, str | None, str, str | None, str, bool]
"""Reference, loan, day, rupees, outcome, is a repayment."""
EVENTS: dict[str, tuple[str, Meaning | None]] = {
    "razorpay_payment_captured": (API, (
        "razorpay:pay_SYN0000000001", "UGRO-LN-000123", "2025-11-19", "12500.50", "success", True)),
    "razorpay_payment_failed": (API, (
        "razorpay:pay_SYN0000000002", "UGRO-LN-000123", "2025-11-19", "12500.50", "failed", False)),
    "razorpay_emandate_charge_captured": (API, (
        "razorpay:pay_SYN0000000014", "UGRO-LN-000123", "2025-11-19", "12500.50", "success", True)),
    "razorpay_payment_link_paid": (GATEWAY, (
        "razorpay:pay_SYN0000000009", "VIV-LN-77", "2025-11-19", "5000.00", "success", True)),
    "razorpay_refund_processed": (API, (
        "razorpay:pay_SYN0000000001", "UGRO-LN-000123", "2025-11-19", "12500.50", "refund", False)),
    "razorpay_settlement_processed": (API, None),
    "razorpay_token_confirmed": (API, None),
    "razorpay_virtual_account_credited": (API, (
        "razorpay:pay_SYN0000000011", "UGRO-LN-000125", "2025-11-19", "25000.00", "success", True)),
    "cashfree_payment_success": (CASHFREE, (
        "cashfree:5114900000001", "GB-LN-00045", "2025-11-19", "12500.50", "success", True)),
    "cashfree_payment_failed": (CASHFREE, (
        "cashfree:5114900000002", "GB-LN-00045", "2025-11-19", "12500.50", "failed", False)),
    "cashfree_payment_user_dropped": (CASHFREE, (
        "cashfree:5114900000003", "GB-LN-00045", "2025-11-19", "12500.50", "failed", False)),
    "cashfree_payment_link_event": (CASHFREE, (
        "cashfree-order:CFPay_synth_1", "GB-LN-00045", "2025-11-19", "2000.00", "success", True)),
    "cashfree_settlement_success": (CASHFREE, None),
    "cashfree_subscription_payment_success_enach": (CASHFREE, (
        "cashfree:5114900000100", "GB-LN-00046", "2025-11-18", "8800.00", "success", True)),
    "cashfree_subscription_payment_failed_enach": (CASHFREE, (
        "cashfree:5114900000100", "GB-LN-00046", "2025-11-18", "8800.00", "failed", False)),
}  # fmt: skip
FILES: dict[str, tuple[str, list[Meaning]]] = {
    "nach_generic_lender_mis.csv": ("RAW_ARTHMATE_NACH_CSV", [
        (None, "ARTH-LN-9001", "2025-11-06", "12500.50", "success", True),
        (None, "ARTH-LN-9002", "2025-11-06", "125000.00", "return", False),
        (None, "ARTH-LN-9003", "2025-11-05", "8800.00", "reject", False),
        (None, "ARTH-LN-9004", "2025-11-06", "7000.00", "pending", False)]),
    "payment_file_dmi_collection_update.csv": ("RAW_DMI_PAYMENT_CSV", [
        ("dmi:pay_SYN0000000021", "DMI-APP-771", "2025-11-19", "6250.00", "success", True),
        ("dmi:pay_SYN0000000022", "DMI-APP-772", "2025-11-19", "3000.00", "success", True)]),
    "payment_file_vivriti_like.csv": (LENDER, [
        (None, "VIV-LN-77", "2025-11-19", "5000.00", "success", True),
        (None, "VIV-LN-78", "2025-11-19", "5000.00", "success", True)]),
    "razorpay_payments_report.csv": (REPORT, [
        ("razorpay:pay_SYN0000000001", "UGRO-LN-000123", "2025-11-19", "12500.50", "success", True),
        ("razorpay:pay_SYN0000000002", None, "2025-11-19", "12500.50", "failed", False)]),
    # Its refund names no payment: of the loan there is one that it can be of.
    "razorpay_settlement_recon_dashboard.csv": (REPORT, [
        ("razorpay:pay_SYN0000000001", "UGRO-LN-000123", "2025-11-19", "12500.50", "refund",
         False)]),
    # A part of the payment went back in the same payout.
    "cashfree_settlement_recon_two_section.csv": ("RAW_GB_PAYMENT_CASHFREE", [
        ("cashfree:5114900000001", "GB-LN-00045", "2025-11-19", "12500.50", "refund", False)]),
}  # fmt: skip


def meanings(rows: list[Row]) -> list[Meaning]:
    return sorted(
        (
            (
                row["payment_ref"], row["loan_external_id"], str(row["payment_date"]),
                str(row["amount"]), row["outcome"], row["is_success"],
            )
            for row in rows
        ),
        key=str,
    )  # fmt: skip


def test_every_sample_has_its_meaning_written_down() -> None:
    events = {path.stem for path in (SAMPLES / "webhooks").glob("*.json")} - {"signatures"}
    files = {path.name for path in SAMPLES.iterdir() if path.is_file()}
    assert (events, files) == (EVENTS.keys(), FILES.keys())


@pytest.mark.parametrize("name", EVENTS)
def test_a_sample_event_means_what_its_provider_says(models: Warehouse, name: str) -> None:
    table, meaning = EVENTS[name]
    models.event(table, sample(name))
    assert meanings(models.fold()) == ([meaning] if meaning else [])


@pytest.mark.parametrize("name", FILES)
def test_a_sample_file_means_what_its_sender_says(models: Warehouse, name: str) -> None:
    table, meaning = FILES[name]
    result = ingest_file(models.urls.psycopg, SAMPLES / name, table, received_by="test")
    assert (result.status, result.rows_quarantined) == ("landed", 0)
    assert meanings(models.fold()) == sorted(meaning, key=str)


# ── one payment, many reports ───────────────────────────────────────────────────────────────


def reports_of_one_payment() -> dict[str, Any]:
    """Three events of one payment of UGRO, as Razorpay sends them."""
    captured = sample("razorpay_payment_captured")
    payment = captured["payload"]["payment"]
    order = {"id": "order_SYN0000000001", "receipt": "UGRO-LN-000123/EMI5", "notes": []}
    link = sample("razorpay_payment_link_paid")
    link["account_id"] = captured["account_id"]
    link["payload"]["payment"] = payment
    link["payload"]["payment_link"]["entity"] |= {"reference_id": "UGRO-LN-000123/EMI5"}
    link["payload"]["order"]["entity"] |= {"receipt": "UGRO-LN-000123/EMI5", "notes": {}}
    paid = captured | {
        "event": "order.paid",
        "contains": ["payment", "order"],
        "payload": {"payment": payment, "order": {"entity": order}},
    }
    return {"payment.captured": captured, "order.paid": paid, "payment_link.paid": link}


@pytest.mark.parametrize("order", [*permutations(reports_of_one_payment())])
def test_events_of_one_payment_are_one_payment_in_every_order_and_twice_each(
    models: Warehouse, order: tuple[str, ...]
) -> None:
    for event in [*order, *order]:
        models.event(API, reports_of_one_payment()[event])
        models.assign_keys()
    [row] = models.fold()
    assert (row["observations"], row["is_success"]) == (6, True)
    assert meanings([row]) == [EVENTS["razorpay_payment_captured"][1]]


def test_a_cashfree_payment_is_one_though_its_id_is_a_number_in_one_version_and_text_in_another(
    models: Warehouse,
) -> None:
    for number in (5114900000001, "5114900000001"):
        event = sample("cashfree_payment_success")
        event["data"]["payment"]["cf_payment_id"] = number
        models.event(CASHFREE, event)
    [row] = models.fold()
    assert row["observations"] == 2


@pytest.fixture
def receiver(models: Warehouse, tmp_path: Path) -> Iterator[Receiver]:
    started = start(models.urls.psycopg, tmp_path, 0)
    yield started
    started.stop()


@pytest.mark.parametrize("posted_after", [1, 5])
def test_a_payment_reported_five_times_is_one_row_of_core_and_one_repayment(
    models: Warehouse, receiver: Receiver, sandbox: Sandbox, tmp_path: Path, posted_after: int
) -> None:
    """Three events, a settlement line and a row of the lender's file; posted when all are known,
    or after the first with the others following."""
    settings = settings_of(models.urls, sandbox)
    loan = [{"externalId": "UGRO-LN-000123"}]
    sandbox.post("loans", loan)
    settlement = tmp_path / "settlement.csv"
    lines = (SAMPLES / "razorpay_settlement_recon_dashboard.csv").read_text().splitlines()
    settlement.write_text("\n".join(lines[:2]))  # without the refund

    def deliver(name: str) -> None:
        if name in events:
            assert receiver.razorpay(json.dumps(events[name]).encode(), name).status_code == 200
        else:
            path = settlement if name == "settlement" else SAMPLES / "razorpay_payments_report.csv"
            ingest_file(models.urls.psycopg, path, REPORT, received_by="test")

    def post(run: str) -> int:
        keys = tuple(row["source_key"] for row in models.build() if row["is_success"])
        selection = Selection(("UGRO",), recon_keys=keys)
        return run_posting(settings, models.urls.psycopg, selection, run).total("posted")

    events = reports_of_one_payment()
    reports = [*events, "settlement", "lender"]
    for name in reports[:posted_after]:
        deliver(name)
    assert post("run-1") == 1
    for name in reports[posted_after:]:
        deliver(name)
    assert post("run-2") == 0

    [row] = [row for row in models.core() if row["is_success"]]
    assert (row["observations"], row["sources"]) == (5, [REPORT, API])
    ledger = sandbox.get("ledger")
    assert [(entry["externalId"], entry["amount"]) for entry in ledger] == [
        (row["source_key"], "12500.50")
    ]
    assert models.rows('SELECT kind FROM "CORE"."CORE_EXCEPTION"') == []


@pytest.mark.parametrize("posted_after", [1, 4])
def test_three_events_and_the_lenders_own_row_without_their_id_are_one_repayment(
    platform: Platform, posted_after: int
) -> None:
    link = sample("razorpay_payment_link_paid")
    parts = link["payload"]
    captured = {"event": "payment.captured", "payload": {"payment": parts["payment"]}}
    paid = {"event": "order.paid", "payload": {n: parts[n] for n in ("payment", "order")}}
    loans = [{"externalId": "VIV-LN-77"}, {"externalId": "VIV-LN-78"}]
    platform.sandbox.post("loans", loans)

    def deliver(report: Any) -> None:
        if isinstance(report, Path):
            ingest_file(platform.models.urls.psycopg, report, LENDER, received_by="test")
        else:
            platform.models.event(GATEWAY, report)

    def post(run: str) -> None:
        keys = tuple(row["source_key"] for row in platform.models.build() if row["is_success"])
        selection = Selection(("VIVRITI",), recon_keys=keys)
        run_posting(platform.settings, platform.models.urls.psycopg, selection, run)

    reports = [captured, paid, link, SAMPLES / "payment_file_vivriti_like.csv"]
    for report in reports[:posted_after]:
        deliver(report)
    post("run-1")
    for report in reports[posted_after:]:
        deliver(report)
    post("run-2")

    # The file tells of a second loan, which no gateway knows.
    assert platform.ledger() == [("VIV-LN-77", "5000.00"), ("VIV-LN-78", "5000.00")]
    seen = {row["loan_external_id"]: row["observations"] for row in platform.models.core()}
    assert seen == {"VIV-LN-77": 4, "VIV-LN-78": 1}
    assert platform.table("CORE_EXCEPTION") == []


def test_a_gateway_payment_and_the_lenders_row_without_its_id_are_one(models: Warehouse) -> None:
    models.event(GATEWAY, sample("razorpay_payment_link_paid"))
    path = SAMPLES / "payment_file_vivriti_like.csv"
    ingest_file(models.urls.psycopg, path, LENDER, received_by="test")
    by_loan = {row["loan_external_id"]: row["sources"] for row in models.fold()}
    assert by_loan == {"VIV-LN-77": [LENDER, GATEWAY], "VIV-LN-78": [LENDER]}
    assert {LENDER, GATEWAY} < SOURCES.keys()
