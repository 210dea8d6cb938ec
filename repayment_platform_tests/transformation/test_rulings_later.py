"""What comes after a ruling, and after it was asked about anew."""

import pytest

from repayment_platform.exceptions.decisions import (
    NotHeld,
    hold,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_rulings import NACH, PAYMENT, asked, rule


def in_two_files(platform: Platform) -> int | None:
    """A payment waits, and one of a second file was ruled the same. Returns the first file."""
    platform.pause(paused=True)
    first = platform.land(loan(1, ""), loan(2, "Z"))
    platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "in two files")
    return first.file_id


def test_a_question_about_the_other_is_over_when_that_is_back_and_comes_again_when_it_is_gone(
    platform: Platform,
) -> None:
    first = in_two_files(platform)
    without = platform.land(loan(2, "Z"), supersedes=first)
    platform.run()
    assert asked(platform) == ["other_is_gone"]
    back = platform.land(loan(1, ""), loan(2, "Z"), supersedes=without.file_id)
    platform.run()
    assert asked(platform) == []
    platform.land(loan(2, "Z"), supersedes=back.file_id)
    platform.run()
    assert asked(platform) == ["other_is_gone"]
    rule(platform, Decision.RELEASE, "it is the only one")
    platform.pause(paused=False)
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]


def test_a_question_about_other_money_is_over_when_it_is_as_it_was_and_comes_again(
    platform: Platform,
) -> None:
    platform.land(loan(1, ""))
    second = platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "twice in the file")
    other = platform.land(loan(1, "", UTR="AGAIN", Amount="700"), supersedes=second.file_id)
    platform.run()
    assert asked(platform) == ["ruled_out_before"]
    same = platform.land(loan(1, "", UTR="AGAIN"), supersedes=other.file_id)
    platform.run()
    assert asked(platform) == []
    platform.land(loan(1, "", UTR="AGAIN", Amount="700"), supersedes=same.file_id)
    platform.run()
    assert asked(platform) == ["ruled_out_before"]
    assert platform.ledger() == [("DMI-APP-1", "500.00")]


def test_ruled_the_same_as_one_that_is_gone_already_it_is_asked_about(platform: Platform) -> None:
    platform.pause(paused=True)
    first = platform.land(loan(1, ""), loan(2, "Z"))
    platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    platform.land(loan(2, "Z"), supersedes=first.file_id)
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "in two files")
    assert asked(platform) == ["other_is_gone"]


def returned_and_ruled_out(platform: Platform) -> tuple[int, int]:
    """A debit that the bank took back before it was posted, ruled out by a person; returns its row
    and that of its return."""
    platform.pause(paused=True)
    debit = platform.models.file_row(NACH, ref="nach:1")
    platform.models.file_row(PAYMENT, ref="dmi:T1")
    back = platform.models.file_row(NACH, ref="nach:1", outcome="late_return")
    platform.run()
    rule(platform, Decision.NOT_A_REPAYMENT, "the bank took it back")
    platform.pause(paused=False)
    return debit, back


def test_the_release_of_a_conflict_releases_no_return_that_was_ruled_out(
    platform: Platform,
) -> None:
    debit, _ = returned_and_ruled_out(platform)
    platform.models.file_row(NACH, amount="999.00", ref="nach:1", replaces_id=debit)
    platform.run()
    assert asked(platform) == ["conflicting_reports"]
    rule(platform, Decision.RELEASE, "the lender is right")
    assert (platform.ledger(), asked(platform)) == ([], ["late_return"])


def test_ruled_out_because_it_was_returned_it_is_asked_about_when_it_was_not(
    platform: Platform,
) -> None:
    _, back = returned_and_ruled_out(platform)
    platform.models.file_row(NACH, ref="nach:1", outcome="withdrawn", replaces_id=back)
    platform.run()
    assert asked(platform) == ["ruled_out_before"]
    rule(platform, Decision.RELEASE, "the bank took back another")
    assert platform.ledger() == [("DMI-APP-1", "1000.00")]


def test_a_debit_joins_no_payment_that_has_one_by_a_ruling(platform: Platform) -> None:
    models = platform.models
    models.file_row(PAYMENT, on="2025-11-01")
    models.file_row(NACH, ref="nach:2", on="2025-11-05")
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "settled over the holidays")
    models.file_row(NACH, ref="nach:1", on="2025-11-01")
    platform.run()
    assert models.rules() == ["new", "held", "held"]
    assert (len(platform.ledger()), asked(platform)) == (1, ["possible_duplicate"])


def test_a_payment_whose_loan_nobody_knows_is_not_held_by_hand(platform: Platform) -> None:
    """Once its loan is named it has another key, on which that hold would not be."""
    platform.models.file_row(NACH, None, ref="nach:1")
    platform.run()
    [row] = platform.models.core()
    with pytest.raises(NotHeld):
        hold(platform.models.connection, row["source_key"], "asha", "the bank is asked")
