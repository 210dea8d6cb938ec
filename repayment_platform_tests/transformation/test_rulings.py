"""What a person ruled out is asked about anew when it turns out to be other money."""

import pytest

from repayment_platform.exceptions.decisions import (
    NotHeld,
    decide,
    hold,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.warehouse import START

NACH, PAYMENT = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"


def rule(platform: Platform, decision: Decision, why: str) -> None:
    """Decide the only open hold, and have it take effect."""
    [hold] = open_holds(platform.models.connection)
    decide(platform.models.connection, hold.id, decision, "asha", why)
    platform.run()
    platform.run()


def asked(platform: Platform) -> list[str]:
    return [hold.kind for hold in open_holds(platform.models.connection)]


def test_ruled_the_same_and_corrected_to_other_money_it_is_posted_once_released(
    platform: Platform,
) -> None:
    platform.land(loan(1, ""))
    second = platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "twice in the file")
    assert (platform.ledger(), asked(platform)) == ([("DMI-APP-1", "500.00")], [])
    platform.land(loan(1, "", UTR="AGAIN", Amount="700"), supersedes=second.file_id)
    platform.run()
    assert asked(platform) == ["ruled_out_before"]
    rule(platform, Decision.RELEASE, "another payment after all")
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-1", "700.00")]
    assert asked(platform) == []
    [(by, why)] = platform.models.connection.execute(
        """SELECT decided_by, decided_why FROM "CORE"."CORE_HOLD"
           WHERE reason_code = 'possible_duplicate'"""
    )
    assert (by, why) == (
        "asha",
        "another payment after all (instead of same_payment by asha: twice in the file)",
    )


def test_ruled_out_a_second_time_it_is_asked_about_no_more(platform: Platform) -> None:
    platform.land(loan(1, ""))
    second = platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "twice in the file")
    platform.land(loan(1, "", UTR="AGAIN", Amount="700"), supersedes=second.file_id)
    platform.run()
    rule(platform, Decision.NOT_A_REPAYMENT, "a fee")
    assert (platform.ledger(), asked(platform)) == ([("DMI-APP-1", "500.00")], [])


def test_ruled_the_same_as_one_that_is_withdrawn_it_is_posted_in_its_place_once_released(
    platform: Platform,
) -> None:
    platform.pause(paused=True)
    first = platform.land(loan(1, ""), loan(2, "Z"))
    platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "in two files")
    platform.land(loan(2, "Z"), supersedes=first.file_id)
    platform.pause(paused=False)
    platform.run()
    platform.run()
    assert (platform.ledger(), asked(platform)) == ([("DMI-APP-2", "500.00")], ["other_is_gone"])
    rule(platform, Decision.RELEASE, "it is the only one")
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]
    assert asked(platform) == []


def test_where_the_other_was_posted_the_question_says_to_undo_it_first(platform: Platform) -> None:
    first = platform.land(loan(1, ""), loan(2, "Z"))
    platform.land(loan(1, "", UTR="AGAIN"))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "in two files")
    platform.land(loan(2, "Z"), supersedes=first.file_id)
    platform.run()
    [hold] = open_holds(platform.models.connection)
    assert hold.kind == "other_is_gone"
    assert hold.what.endswith("and is to be undone in Fineract first")
    [exception] = open_exceptions(platform.models.connection)
    assert exception.kind == "withdrawn_after_posting"


def denied(platform: Platform) -> int:
    """The bank reports a bounce of what the lender reports as paid; returns the bank's row."""
    bounce = platform.models.file_row(NACH, outcome="return", umrn="U1", ref="nach-dmi:1")
    platform.models.file_row(PAYMENT, umrn="U1", ref="dmi:T1", method="NACH")
    platform.run()
    return bounce


@pytest.mark.parametrize("ruling", [Decision.NOT_A_REPAYMENT, Decision.SAME_PAYMENT])
def test_a_conflict_that_was_ruled_out_is_asked_about_when_its_reports_agree(
    platform: Platform, ruling: Decision
) -> None:
    bounce = denied(platform)
    rule(platform, ruling, "until the bank corrects it")
    assert (platform.ledger(), asked(platform)) == ([], [])
    platform.models.file_row(
        NACH, umrn="U1", ref="nach-dmi:1", outcome="withdrawn", replaces_id=bounce
    )
    platform.run()
    assert asked(platform) == ["ruled_out_before"]
    rule(platform, Decision.RELEASE, "it is corrected")
    assert platform.ledger() == [("DMI-APP-1", "1000.00")]


def test_a_success_of_the_bank_after_its_bounce_was_believed_is_asked_about(
    platform: Platform,
) -> None:
    denied(platform)
    rule(platform, Decision.NOT_A_REPAYMENT, "the bank is right")
    platform.models.file_row(NACH, umrn="U1", ref="nach-dmi:1", on="2025-11-06")
    platform.run()
    assert (platform.ledger(), asked(platform)) == ([], ["possible_duplicate"])
    rule(platform, Decision.RELEASE, "presented once more")
    assert platform.ledger() == [("DMI-APP-1", "1000.00")]


def test_the_release_of_a_further_conflict_posts_what_it_says(platform: Platform) -> None:
    models = platform.models
    platform.pause(paused=True)
    models.file_row(PAYMENT, ref="dmi:T1")
    debit = models.file_row(NACH, ref="nach-dmi:1")
    models.file_row(NACH, amount="1001.00", ref="nach-dmi:1", replaces_id=debit)
    platform.run()
    rule(platform, Decision.NOT_A_REPAYMENT, "the bank is asked")
    models.file_row(NACH, amount="1002.00", ref="nach-dmi:1", replaces_id=debit)
    platform.run()
    [hold] = open_holds(models.connection)
    assert "a release posts 1000.00 rupees of 2025-11-05 for loan DMI-APP-1" in hold.what
    platform.pause(paused=False)
    rule(platform, Decision.RELEASE, "the lender is right")
    assert (platform.ledger(), asked(platform)) == ([("DMI-APP-1", "1000.00")], [])


def test_another_report_of_equal_money_does_not_join_a_payment_that_was_ruled_out(
    platform: Platform,
) -> None:
    """The second debit is proof that the second row was no repetition of the first."""
    models = platform.models
    for _ in range(2):
        models.file_row(PAYMENT, file_id=1, landed_at=START)
    models.file_row(NACH, ref="nach-dmi:1")
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "the first once more")
    models.file_row(NACH, ref="nach-dmi:2")
    platform.run()
    assert models.rules() == ["new", "held", "same_money", "held"]
    assert (len(platform.ledger()), asked(platform)) == (1, ["possible_duplicate"])
    rule(platform, Decision.RELEASE, "two debits")
    assert platform.ledger() == [("DMI-APP-1", "1000.00")] * 2


def test_a_ruling_by_mistake_is_taken_back_by_a_hold_by_hand_and_its_release(
    platform: Platform,
) -> None:
    platform.land(loan(1, ""), loan(1, ""))
    platform.run()
    rule(platform, Decision.SAME_PAYMENT, "twice in the file")
    connection = platform.models.connection
    [key] = [row["source_key"] for row in platform.models.core() if not row["is_success"]]
    hold(connection, key, "ravi", "the borrower paid twice")
    platform.run()
    assert (platform.ledger(), asked(platform)) == ([("DMI-APP-1", "500.00")], ["by_hand"])
    rule(platform, Decision.RELEASE, "the bank confirms two debits")
    assert platform.ledger() == [("DMI-APP-1", "500.00")] * 2


def test_a_payment_held_by_hand_is_not_posted_until_it_is_released(platform: Platform) -> None:
    connection = platform.models.connection
    platform.pause(paused=True)
    platform.land(loan(1, "A"), loan(2, "B"))
    platform.run()
    [key] = [
        row["source_key"]
        for row in platform.models.core()
        if row["loan_external_id"] == "DMI-APP-1"
    ]
    hold(connection, key, "asha", "the bank is asked")
    platform.pause(paused=False)
    platform.run()
    assert (platform.ledger(), asked(platform)) == ([("DMI-APP-2", "500.00")], ["by_hand"])
    rule(platform, Decision.RELEASE, "it is in order")
    assert len(platform.ledger()) == 2
    with pytest.raises(NotHeld):
        hold(connection, key, "asha", "too late")
