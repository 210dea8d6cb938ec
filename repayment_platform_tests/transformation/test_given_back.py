"""Money that was given back, from the file or webhook that says so to the repayment undone."""

import asyncio
from typing import Any

import pytest

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.warehouse import Row

CASHFREE = "RAW_GB_CASHFREE_API"
RAZORPAY = "RAW_UGRO_RAZORPAY_API"
REVERSED = {"Status": "Reversed", "Reason": "late return"}


def cashfree_auto_refund() -> tuple[str, Any, Any]:
    refund = {"cf_payment_id": "5114900000001", "refund_amount": 12500.5, "order_id": "GB-1",
              "refund_status": "SUCCESS", "refund_type": "PAYMENT_AUTO_REFUND"}  # fmt: skip
    event = {"type": "REFUND_STATUS_WEBHOOK", "data": {"refund": refund}}
    return CASHFREE, sample("cashfree_payment_success"), event


def razorpay_refund() -> tuple[str, Any, Any]:
    """Of the payment of the sample, in part."""
    captured = sample("razorpay_payment_captured")
    refund = sample("razorpay_refund_processed")
    payment_id = captured["payload"]["payment"]["entity"]["id"]
    refund["payload"]["refund"]["entity"] |= {"payment_id": payment_id, "amount": 4000}
    refund["payload"].get("payment", {}).get("entity", {}).update(id=payment_id)
    return RAZORPAY, captured, refund


def look_up_and_undo(platform: Platform, key: str) -> list[Row]:
    """Ask the ledger about open exceptions, undo the repayment there, and ask again."""

    def ask() -> None:
        scope = LedgerScope()
        asyncio.run(ledger_agrees(platform.settings, platform.models.urls.psycopg, scope))

    ask()
    assert [each["closed_at"] for each in platform.table("CORE_EXCEPTION")] == [None]
    platform.sandbox.post(f"undo/{key}")
    ask()
    return platform.table("CORE_EXCEPTION")


def test_a_debit_returned_after_it_was_posted_is_an_exception_until_it_is_undone(
    platform: Platform,
) -> None:
    platform.land(loan(1, "A"))
    key = platform.run()["DMI-APP-1"]["source_key"]
    assert platform.ledger() == [("DMI-APP-1", "500.00")]

    platform.land(loan(1, "A", **REVERSED))
    platform.run()

    [posted] = platform.table("CORE_TRANSACTION_DATA_PROCESSED")
    [raised] = platform.table("CORE_EXCEPTION")
    assert (raised["kind"], raised["source_key"]) == ("returned_after_posting", key)
    assert str(posted["fineract_transaction_id"]) in raised["detail"]["what"]
    [closed] = look_up_and_undo(platform, key)
    assert closed["closed_by"] == "look-up"
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "500.00")]


def test_a_debit_returned_before_the_first_run_is_held_and_never_posted(
    platform: Platform,
) -> None:
    platform.land(loan(1, "A"), loan(2, "B"))
    platform.land(loan(1, "A", **REVERSED))

    core = platform.run()

    [hold] = platform.table("CORE_HOLD")
    assert (hold["source_key"], hold["reason_code"]) == (
        core["DMI-APP-1"]["source_key"],
        "late_return",
    )
    assert platform.ledger() == [("DMI-APP-2", "500.00")]


@pytest.mark.parametrize("given_back", [cashfree_auto_refund, razorpay_refund])
@pytest.mark.parametrize("is_known_before", [True, False])
def test_a_gateways_refund_holds_the_payment_or_asks_to_undo_the_repayment(
    platform: Platform, given_back: Any, is_known_before: bool
) -> None:
    table, paid, refunded = given_back()

    def reconcile(run: str) -> dict[str, Row]:
        core = {str(row["source_lender"]): row for row in platform.models.build()}
        keys = tuple(row["source_key"] for row in core.values())
        selection = Selection(tuple(core), recon_keys=keys)
        run_posting(platform.settings, platform.models.urls.psycopg, selection, run)
        return core

    loans = [{"externalId": name} for name in ("GB-LN-00045", "UGRO-LN-000123")]
    platform.sandbox.post("loans", loans)
    platform.models.event(table, paid)
    if is_known_before:
        platform.models.event(table, refunded)
    [payment] = reconcile("recon-1").values()

    if is_known_before:
        [hold] = platform.table("CORE_HOLD")
        assert (hold["source_key"], hold["reason_code"]) == (payment["source_key"], "refunded")
        assert platform.ledger() == []
        return
    assert [amount for _, amount in platform.ledger()] == ["12500.50"]
    platform.models.event(table, refunded)
    reconcile("recon-2")
    [raised] = platform.table("CORE_EXCEPTION")
    assert raised["kind"] == "refunded_after_posting"
    closed, *left = look_up_and_undo(platform, payment["source_key"])
    assert closed["closed_by"] == "look-up"
    # Razorpay gave back a part: what is left of it is still the borrower's.
    is_part = given_back is razorpay_refund
    assert [each["kind"] for each in left] == ["reversed_in_ledger"] * is_part


def test_a_return_of_what_was_ruled_the_same_payment_asks_to_undo_the_other(
    platform: Platform,
) -> None:
    table, name = "RAW_IKF_NACH_CSV", "IKF-LN-1"
    loans = [{"externalId": name}]
    platform.sandbox.post("loans", loans)
    platform.models.file_row(table, name)
    platform.models.file_row(table, name, ref="nach:1")
    platform.run()
    [posted] = platform.table("CORE_TRANSACTION_DATA_PROCESSED")
    [hold] = platform.table("CORE_HOLD")
    decide(platform.models.connection, hold["id"], Decision.SAME_PAYMENT, "asha", "once more")

    platform.models.file_row(table, name, ref="nach:1", outcome="late_return")
    platform.run()

    [raised] = platform.table("CORE_EXCEPTION")
    assert (raised["source_key"], raised["kind"]) == (
        posted["source_key"],
        "returned_after_posting",
    )
