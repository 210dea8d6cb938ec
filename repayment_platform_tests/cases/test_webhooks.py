"""Webhooks that once were posted wrong, or of which nobody was told."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from repayment_platform_tests.cases.questions import questions
from repayment_platform_tests.transformation.conftest import models, platform
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.warehouse import Warehouse

__all__ = ["models", "platform"]
GB, UGRO = "RAW_GB_CASHFREE_API", "RAW_UGRO_RAZORPAY_API"


def events(name: str) -> list[Any]:
    """The events of a file, in the order in which they are delivered."""
    delivered: list[Any] = json.loads((Path(__file__).parent / f"webhooks/{name}.json").read_text())
    return delivered


@pytest.mark.parametrize("name", ["link_first", "payment_first"])
def test_a_payment_on_a_link_has_its_own_day_whichever_event_comes_first(
    models: Warehouse, name: str
) -> None:
    for event in events(name):
        models.event(GB, event)
        models.build()
    [payment] = models.core()
    assert payment["payment_date"] == date(2026, 11, 20)


def test_a_refund_that_failed_is_told_or_holds_no_more(platform: Platform) -> None:
    for event in events("refund_failed_and_usd"):
        platform.models.event(UGRO, event)
        platform.run()
    told = [q["reason"] for q in questions(platform.models) if "pay_PubR1" in q["payment_ref"]]
    assert all("failed" in reason for reason in told)


def test_a_payment_in_another_currency_is_asked_about(platform: Platform) -> None:
    for event in events("refund_failed_and_usd"):
        platform.models.event(UGRO, event)
        platform.run()
    assert any("pay_PubH1" in q["payment_ref"] for q in questions(platform.models))


def test_an_amount_without_end_stops_no_run_and_is_asked_about(platform: Platform) -> None:
    event = sample("cashfree_payment_success")
    event["data"]["payment"]["payment_amount"] = "100." + "0" * 20_000
    platform.models.event(GB, event)
    platform.run()
    assert questions(platform.models)
