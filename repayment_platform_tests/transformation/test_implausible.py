"""The whole way of a file with a day or an amount that cannot be right."""

from datetime import date
from typing import Any

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform_tests.databases import set_clock
from repayment_platform_tests.transformation.platform import Platform, loan


def open_holds(platform: Platform) -> list[Any]:
    """Reason and id of each."""
    holds = [row for row in platform.table("CORE_HOLD") if row["decision"] is None]
    return [(row["reason_code"], row["id"]) for row in holds]


def test_a_mistaken_year_is_held_and_posted_once_its_file_is_corrected(platform: Platform) -> None:
    set_clock(platform.models.connection, date(2025, 11, 20))
    right = loan(2, "P2")
    file = platform.land(loan(1, "P1", Settlement_Date="06/11/2024"), right)
    platform.run()
    assert [code for code, _ in open_holds(platform)] == ["implausible_day"]
    assert platform.ledger() == [("DMI-APP-2", "500.00")]

    set_clock(platform.models.connection, date(2025, 11, 21))
    platform.land(loan(1, "P1", Settlement_Date="06/11/2025"), right, supersedes=file.file_id)
    platform.run()
    assert open_holds(platform) == []
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]


def test_paise_in_a_first_file_are_held_by_its_other_rows_and_posted_when_released(
    platform: Platform,
) -> None:
    platform.sandbox.post("loans", [{"externalId": f"DMI-APP-{n}"} for n in range(10, 25)])
    platform.land(*(loan(n, f"P{n}") for n in range(1, 21)), loan(21, "P21", Amount="50000.00"))
    platform.run()
    [(code, hold)] = open_holds(platform)
    assert code == "implausible_amount"
    assert len(platform.ledger()) == 20

    decide(platform.models.connection, hold, Decision.RELEASE, "asha", "foreclosed")
    platform.run()
    assert ("DMI-APP-21", "50000.00") in platform.ledger()
