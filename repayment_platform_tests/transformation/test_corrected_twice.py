"""A row that is corrected more than once is a report of its last payment alone."""

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform_tests.transformation.platform import Platform, loan

NACH = "RAW_DMI_NACH_CSV"


def moved_out(platform: Platform) -> int:
    """A reference used twice, and the second row, corrected to one of its own, is released.
    Returns the first row of that chain."""
    models = platform.models
    models.file_row(NACH, ref="nach:1")
    row = models.file_row(NACH, ref="nach:1", on="2025-12-05")
    models.file_row(NACH, ref="nach:2", on="2025-12-05", replaces_id=row)
    platform.run()
    [hold] = open_holds(models.connection)
    decide(models.connection, hold.id, Decision.RELEASE, "asha", "December's")
    return row


def moved_back(platform: Platform, row: int) -> None:
    platform.models.file_row(NACH, ref="nach:1", on="2025-11-06", replaces_id=row)
    platform.run()
    models = platform.models
    assert [r["is_success"] for r in models.core()] == [r["is_success"] for r in models.fold()]


def test_moved_back_before_it_was_posted_it_is_not_posted(platform: Platform) -> None:
    row = moved_out(platform)
    platform.pause(paused=True)
    platform.run()
    assert len(platform.ledger()) == 1
    moved_back(platform, row)
    platform.pause(paused=False)
    platform.run()
    assert len(platform.ledger()) == 1, "both rows report one payment"


def test_moved_back_after_it_was_posted_it_is_an_exception(platform: Platform) -> None:
    row = moved_out(platform)
    platform.run()
    assert len(platform.ledger()) == 2
    moved_back(platform, row)
    platform.run()
    [exception] = open_exceptions(platform.models.connection)
    assert exception.kind == "withdrawn_after_posting"


def test_a_reference_that_was_corrected_away_swallows_no_payment_of_its_own(
    platform: Platform,
) -> None:
    first = platform.land(loan(1, "A"))
    platform.run()
    platform.land(loan(1, "B"), supersedes=first.file_id)
    platform.run()
    platform.land(loan(1, "A", Reason="Transaction successful"))
    platform.run()
    assert len(platform.ledger()) == 1
    [hold] = open_holds(platform.models.connection)
    assert hold.kind == "possible_duplicate"
    decide(platform.models.connection, hold.id, Decision.RELEASE, "asha", "another", hold.seen)
    platform.run()
    assert len(platform.ledger()) == 2
