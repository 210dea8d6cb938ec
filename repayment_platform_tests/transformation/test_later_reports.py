"""What is reported after the payment that it seems to be of."""

from dataclasses import replace

import pytest

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_holds,
)
from repayment_platform.sources import registry
from repayment_platform.sources.layouts import Column
from repayment_platform_tests.sources.reading import NACH
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.test_withdrawals import COLLECTION, PAYMENT

SHIV_NACH, SHIV_PAYMENT = "RAW_SHIVALIK_NACH_CSV", "RAW_SHIVALIK_PAYMENT_CSV"
SHIV_HEADER = ("Loan Account No", "Paid Amount", "Payment Date", "Payment Status", "UTR")


def held(platform: Platform) -> list[tuple[str, str | None]]:
    return [(each.kind, each.loan) for each in open_holds(platform.models.connection)]


@pytest.mark.parametrize("utr", ["ICIC1", ""])
def test_a_payment_row_that_comes_again_in_another_file_is_the_same_or_held(
    platform: Platform, utr: str
) -> None:
    """It is the same while it says the same; a blank in place of a UTR may be another payment."""
    loans = [{"externalId": "SHIV-LN-1"}]
    platform.sandbox.post("loans", loans)
    platform.land(["SHIV-LN-1", *loan(1, "A")[1:]], source=SHIV_NACH)  # of the day before
    row = ["SHIV-LN-1", "500.00", "07/11/2025", "Success"]
    platform.land([*row, "ICIC1"], source=SHIV_PAYMENT, header=SHIV_HEADER)
    platform.run()
    assert platform.models.rules() == ["new", "same_money"]

    another = ["SHIV-LN-1", "70.00", "07/11/2025", "Success", "ICIC2"]
    platform.land([*row, utr], another, source=SHIV_PAYMENT, header=SHIV_HEADER)
    platform.run()

    posted, asked = [("SHIV-LN-1", "500.00"), ("SHIV-LN-1", "70.00")], []
    if not utr:  # then 70.00 may be a correction of 500.00
        posted, asked = posted[:1], [("possible_duplicate", "SHIV-LN-1")] * 2
    assert (platform.ledger(), held(platform)) == (posted, asked)


def test_a_corrected_row_that_comes_again_in_a_later_file_is_held(platform: Platform) -> None:
    corrected = loan(2, "", Settlement_Date="07/11/2025")
    first = platform.land(loan(2, ""))
    platform.land(corrected, supersedes=first.file_id)
    platform.run()

    platform.land(corrected, loan(1, ""))
    platform.run()

    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]
    assert held(platform) == [("possible_duplicate", "DMI-APP-2")]


@pytest.mark.parametrize("runs_between", [True, False])
def test_what_is_paid_in_place_of_a_returned_debit_is_held_and_not_taken_for_the_debit(
    platform: Platform, runs_between: bool
) -> None:
    platform.land(loan(3, "C"))
    if runs_between:
        platform.run()
    platform.land(loan(3, "C", Status="Reversed", Reason="late return"))
    if runs_between:
        platform.run()
    paid = ["DMI-APP-3", "500.00", "08/11/2025", "Clear", "T3"]
    platform.land(paid, source=PAYMENT, header=COLLECTION)
    platform.run()
    [hold] = [
        each for each in open_holds(platform.models.connection) if each.kind == "cleared_again"
    ]
    decide(platform.models.connection, hold.id, Decision.RELEASE, "asha", "paid by UPI", hold.seen)
    platform.run()

    assert platform.ledger() == [("DMI-APP-3", "500.00")] * (2 if runs_between else 1)
    kinds = [each["kind"] for each in platform.table("CORE_EXCEPTION")]
    assert kinds == ["returned_after_posting"] * runs_between


def test_a_return_with_a_reference_that_no_payment_bears_is_told(platform: Platform) -> None:
    platform.land(loan(4, ""))
    platform.run()
    platform.land(loan(4, "D", Status="Reversed", Reason="late return"))
    platform.run()

    [exception] = platform.table("CORE_EXCEPTION")
    assert exception["kind"] == "return_without_payment"
    assert "late return of 500.00 rupees" in exception["detail"]["what"]


def test_a_bounce_that_may_be_of_two_payments_is_told_and_names_them(platform: Platform) -> None:
    platform.land(loan(4, ""), loan(4, ""))
    platform.land(loan(4, "", Status="Bounce"))
    platform.run()

    [exception] = platform.table("CORE_EXCEPTION")
    assert exception["kind"] == "return_without_payment"
    keys = [payment["source_key"] for payment in platform.models.core() if payment["is_success"]]
    assert len(keys) == 2
    assert all(key in exception["detail"]["what"] for key in keys)


def test_a_webhook_of_a_success_that_cannot_be_read_is_told_until_another_can(
    platform: Platform,
) -> None:
    models, cashfree = platform.models, "RAW_GB_CASHFREE_API"
    event = sample("cashfree_payment_success")
    told = event["data"]["payment"]["payment_time"]
    event["data"]["payment"]["payment_time"] = "19-11-2025 10:00:00"
    models.event(cashfree, event)
    platform.run()
    [exception] = platform.table("CORE_EXCEPTION")
    assert (exception["kind"], exception["closed_at"]) == ("unreadable_payment", None)
    assert "the payment date is missing or unreadable" in exception["detail"]["what"]

    event["data"]["payment"]["payment_time"] = told
    models.event(cashfree, event)
    core = platform.run()
    assert core["GB-LN-00045"]["is_success"]
    [exception] = platform.table("CORE_EXCEPTION")
    assert exception["closed_why"] == "its payment was found"


def test_a_correction_that_lands_while_its_source_is_replayed_stands(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = platform.land(loan(1, "A"), loan(2, "B"), loan(3, "C"))
    platform.pause(paused=True)
    platform.run()
    source = registry.SOURCES[NACH]
    layouts = tuple(
        replace(each, columns={**each.columns, "method": Column(("Status",))})
        for each in source.layouts
    )
    monkeypatch.setitem(registry.SOURCES, NACH, replace(source, layouts=layouts))

    def correct(_done: int, _files: int) -> None:
        platform.land(loan(1, "A", Amount="50.00"), loan(2, "B"), supersedes=first.file_id)

    platform.replay(progress=correct)
    platform.pause(paused=False)
    platform.run()

    assert platform.ledger() == [("DMI-APP-1", "50.00"), ("DMI-APP-2", "500.00")]
