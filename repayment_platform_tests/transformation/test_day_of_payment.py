"""On which day a payment was made, where its reports name several."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest

from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform_tests.sources.reading import HEADER
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_observations import sample
from repayment_platform_tests.transformation.warehouse import Warehouse

NACH, PAYMENT, GATEWAY = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV", "RAW_GB_CASHFREE_API"
PRESENTED = ("Presentation Date", *HEADER)


def day(n: int) -> date:
    return date(2025, 11, n)


def presented(on: str, settled: str) -> list[str]:
    return [on, *loan(1, "A", Settlement_Date=settled)]


def day_in_core(models: Warehouse) -> date:
    [payment] = models.core()
    assert isinstance(payment["payment_date"], date)
    return payment["payment_date"]


@pytest.mark.parametrize("bank_first", [True, False])
def test_the_banks_day_outweighs_the_lenders(models: Warehouse, bank_first: bool) -> None:
    rows: list[tuple[str, date]] = [(NACH, day(7)), (PAYMENT, day(6))]
    for table, on in rows if bank_first else reversed(rows):
        models.file_row(table, on=on, cells='{"Settlement Date": "x"}')
        models.build()
    assert day_in_core(models) == day(7)


@pytest.mark.parametrize("order", [*permutations([day(6), day(7), day(8)])])
def test_of_reports_as_exact_the_earliest_day_counts(
    models: Warehouse, order: tuple[date, ...]
) -> None:
    for on in order:
        models.file_row(NACH, on=on, ref="nach-dmi:1", cells='{"Settlement Date": "x"}')
        models.build()
    assert day_in_core(models) == day(6)


def test_a_report_that_was_replaced_tells_no_day(models: Warehouse) -> None:
    row = models.file_row(PAYMENT, on=day(5), ref="dmi:1")
    models.file_row(PAYMENT, on=day(7), ref="dmi:1")
    models.build()
    assert day_in_core(models) == day(5)
    models.file_row(PAYMENT, on=day(9), ref="dmi:1", replaces_id=row)
    models.build()
    assert day_in_core(models) == day(7)


def test_a_failure_or_return_of_the_payment_tells_no_day_of_it(models: Warehouse) -> None:
    models.file_row(PAYMENT, on=day(4), ref="dmi:1", outcome="pending")
    models.file_row(PAYMENT, on=day(5), ref="dmi:1")
    models.file_row(NACH, on=day(3), ref="dmi:1", outcome="return")
    models.file_row(NACH, on=day(8), ref="dmi:1", outcome="late_return")
    models.build()
    assert day_in_core(models) == day(5)


@pytest.mark.parametrize("nothing", ["", "-", "N/A"])
@pytest.mark.parametrize("settled_first", [True, False])
def test_the_day_of_presentation_gives_way_to_that_of_the_settlement(
    platform: Platform, nothing: str, settled_first: bool
) -> None:
    files = [presented("05/11/2025", "06/11/2025"), presented("05/11/2025", nothing)]
    for file in files if settled_first else reversed(files):
        platform.land(file, header=PRESENTED)
        platform.run()
    assert day_in_core(platform.models) == day(6)


def test_a_settlement_that_is_told_after_the_posting_is_the_same_payment(
    platform: Platform,
) -> None:
    platform.land(presented("05/11/2025", ""), header=PRESENTED)
    platform.run()
    platform.land(presented("05/11/2025", "10/11/2025"), header=PRESENTED)
    platform.run()

    assert day_in_core(platform.models) == day(10)
    [posted] = platform.table("CORE_TRANSACTION_DATA_PROCESSED")
    assert posted["payment_date"] == day(5)
    assert platform.ledger() == [("DMI-APP-1", "500.00")]
    assert platform.table("CORE_EXCEPTION") == []


def test_another_day_of_a_gateways_payment_after_its_posting_is_asked_about(
    platform: Platform,
) -> None:
    link, payment = (sample(f"cashfree_payment_{name}") for name in ("link_event", "success"))
    payment["data"]["order"] |= {"order_id": link["data"]["order"]["order_id"]}
    payment["data"]["payment"] |= {
        "payment_amount": 2000, "payment_time": "2025-11-18T23:59:59+05:30",
    }  # fmt: skip
    named: list[Any] = [{"externalId": "GB-LN-00045"}]
    platform.sandbox.post("loans", named)
    for n, event in enumerate((link, payment)):
        platform.models.event(GATEWAY, event)
        [row] = platform.models.build()
        selection = Selection(("GB",), recon_keys=(row["source_key"],))
        run_posting(platform.settings, platform.models.urls.psycopg, selection, f"recon-{n}")

    assert day_in_core(platform.models) == day(18)
    [raised] = platform.table("CORE_EXCEPTION")
    assert raised["kind"] == "changed_after_posting"
    assert "2000.00 rupees of 2025-11-19" in raised["detail"]["what"]
    assert "is now 2000.00 rupees of 2025-11-18" in raised["detail"]["what"]


@pytest.mark.parametrize(
    ("said", "exactness"),
    [
        ({"payment_initiated_date": "2025-11-18T09:02:11+05:30"}, 5),
        ({"payment_initiated_date": None, "payment_schedule_date": "2025-11-18"}, 2),
    ],
)
def test_a_day_for_which_a_charge_was_only_planned_is_less_exact(
    models: Warehouse, said: dict[str, str | None], exactness: int
) -> None:
    event = sample("cashfree_subscription_payment_success_enach")
    event["data"] |= said
    models.event(GATEWAY, event)
    [row] = models.base(GATEWAY)
    assert (row["payment_date"], row["day_exactness"]) == (day(18), exactness)


def test_every_kind_of_report_says_how_exact_its_day_is(models: Warehouse) -> None:
    kinds = {
        "RAW_UGRO_PAYMENT_RAZORPAY": 5, "RAW_GB_PAYMENT_CASHFREE": 5, NACH: 4, PAYMENT: 3,
    }  # fmt: skip
    for table in kinds:
        models.file_row(table, cells='{"Settlement Date": "05/11/2025"}')
    models.event("RAW_UGRO_RAZORPAY_API", sample("razorpay_payment_captured"))
    models.event(GATEWAY, sample("cashfree_payment_success"))
    models.event(GATEWAY, sample("cashfree_payment_link_event"))
    found = {table: models.base(table)[0]["day_exactness"] for table in kinds}
    assert found == kinds
    assert [row["day_exactness"] for row in models.base("RAW_UGRO_RAZORPAY_API")] == [5]
    assert [row["day_exactness"] for row in models.base(GATEWAY)] == [5, 1]
