"""Signed webhooks whose values would stop whoever reads them, over HTTP and through the models.

Each is answered 200, lands or is quarantined, and keeps nobody else's payments from being posted.
"""

import json
from collections.abc import Iterator
from datetime import date
from itertools import product
from typing import Any

import pytest

from repayment_platform.sources.registry import LENDERS, SOURCES, Kind, Source
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.cases.questions import questions
from repayment_platform_tests.cases.test_webhooks import events
from repayment_platform_tests.transformation.conftest import models, platform
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_garbage import numbered
from repayment_platform_tests.transformation.test_observations import razorpay
from repayment_platform_tests.transformation.test_successes_without_repayment import cashfree
from repayment_platform_tests.transformation.warehouse import Warehouse
from repayment_platform_tests.web.receiving import (
    ANY_AGE,
    Receiver,
    cashfree_headers,
    razorpay_headers,
)

__all__ = ["models", "platform"]
GATEWAYS = [source for source in SOURCES.values() if source.kind is not Kind.FILE]
FILES = [source for source in SOURCES.values() if source.kind is Kind.FILE]
ENDLESS = "100." + "0" * 20_000
"""PostgreSQL casts no more than 16,383 digits behind the point."""
MARK = '"@@"'
RAW_JSON = {
    "text without end": json.dumps(ENDLESS),
    "number without end": ENDLESS,
    "whole number without end": "9" * 200_000,
    "exponent": "1e400000",
    "tiny": "1e-20000",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "nul": '"100\\u0000"',
    "half a surrogate": '"\\ud800"',
    "deep": "[" * 50_000 + "]" * 50_000,
    "other digits": '"१००"',
    "nothing": "null",
    "object": '{"paise": 100}',
}
"""What stands where an amount, a time or a status should, as JSON is written."""


PLACES = {
    Kind.RAZORPAY: ("amount", "amount_refunded", "created_at", "status"),
    Kind.CASHFREE: ("payment_amount", "payment_time", "payment_status"),
}


@pytest.fixture
def database_urls(built_urls: DatabaseUrls) -> DatabaseUrls:
    return built_urls


def bodies(source: Source) -> Iterator[tuple[str, bytes]]:
    """Events of a payment of its own each, with each value in each place; the last is good."""
    first = 1000 * GATEWAYS.index(source)
    made = razorpay if source.kind is Kind.RAZORPAY else cashfree
    for number, (place, name) in enumerate(product(PLACES[source.kind], RAW_JSON), first + 1):
        text = json.dumps(numbered(made(**{place: "@@"}), number))
        yield f"{place} {name}", text.replace(MARK, RAW_JSON[name]).encode()
    yield "good", json.dumps(numbered(made(), first)).encode()


def deliver(receiver: Receiver, source: Source, body: bytes, event: str) -> int:
    headers = (
        razorpay_headers(body, event)
        if source.kind is Kind.RAZORPAY
        else cashfree_headers(body, key=event)
    )
    path = f"{source.kind}/{source.lender}".lower()
    return receiver.post(path, body, headers).status_code


def unaccounted(models: Warehouse, table: str, sent: set[str]) -> set[str]:
    """Deliveries that neither landed so that the models read them nor are in quarantine."""
    read = models.rows(f'SELECT event_id FROM "RAW"."{table}" WHERE payload IS NOT NULL')
    kept = models.rows(
        'SELECT event_id FROM "CORE"."CORE_QUARANTINE" WHERE raw_table = %s', (table,)
    )
    return sent - {row["event_id"] for row in (*read, *kept)}


@pytest.mark.timeout(400)  # some two hundred deliveries
def test_no_signed_webhook_stops_the_models_of_any_lender(
    start_receiver: Any, platform: Platform
) -> None:
    receiver, models = start_receiver(**ANY_AGE), platform.models
    for source in GATEWAYS:
        sent = set()
        for name, body in bodies(source):
            event = f"{source.lender} {name}".replace(" ", "_")
            assert deliver(receiver, source, body, event) == 200, event
            sent.add(event)
        assert unaccounted(models, source.table, sent) == set()
    for number, source in enumerate(FILES, 1):
        loan = f"DMI-APP-{number}" if source.lender == "DMI" else f"{source.lender}-LN-{number}"
        models.file_row(source.table, loan, ref=f"{source.ref_namespace}:{number}")
    platform.run()
    models.build_all()
    assert {row["source_lender"] for row in models.core()} == set(LENDERS)
    dmi = [f"DMI-APP-{n}" for n, source in enumerate(FILES, 1) if source.lender == "DMI"]
    assert sorted(platform.ledger()) == [(loan, "1000.00") for loan in dmi]
    assert "Traceback" not in receiver.log


@pytest.mark.parametrize("lender", ["ugro", "gb"])
def test_an_amount_without_an_end_is_asked_about_and_a_good_one_beside_it_is_read(
    start_receiver: Any, platform: Platform, lender: str
) -> None:
    receiver = start_receiver(**ANY_AGE)
    source = next(s for s in GATEWAYS if (s.kind, s.lender) == (Kind.CASHFREE, lender.upper()))
    good = cashfree(cf_payment_id="5114900000077")
    for event, name in ((cashfree(payment_amount=ENDLESS), "endless"), (good, "good")):
        assert deliver(receiver, source, json.dumps(event).encode(), name) == 200
    platform.run()
    asked = {row["payment_ref"] for row in questions(platform.models)}
    assert "cashfree:5114900000001" in asked
    read = {row["payment_ref"]: row["amount"] for row in platform.models.core()}
    assert str(read["cashfree:5114900000077"]) == "12500.50"


def test_what_once_was_posted_wrong_comes_over_http_as_it_came_before(
    start_receiver: Any, platform: Platform
) -> None:
    receiver = start_receiver(**ANY_AGE)
    told = (("razorpay", "UGRO", "refund_failed_and_usd"), ("cashfree", "GB", "link_first"))
    for kind, lender, name in told:
        source = next(s for s in GATEWAYS if (s.kind.value, s.lender) == (kind, lender))
        for number, event in enumerate(events(name)):
            body = json.dumps(event).encode()
            assert deliver(receiver, source, body, f"{name}_{number}") == 200
            platform.run()
    asked = " ".join(str(row["payment_ref"]) for row in questions(platform.models))
    assert "pay_PubH1" in asked
    days = {r["payment_date"] for r in platform.models.core() if r["source_lender"] == "GB"}
    assert days == {date(2026, 11, 20)}
