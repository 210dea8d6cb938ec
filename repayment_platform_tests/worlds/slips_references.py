"""Slips of references: spelled otherwise, issued anew, blank, used again."""

from repayment_platform_tests.worlds.reporting import (
    HALF_RUPEE,
    RAZORPAY,
    captured,
    debit,
    number,
    receipt,
)
from repayment_platform_tests.worlds.truth import Report, Says, Story, add, again


def _row(story: Story, **stated: object) -> Report:
    """A bank's row in the first step."""
    movement = story.moved(story.rng.randint(2, 8))
    return debit(story, movement, movement.day + 1, **stated)


def _later(story: Story, row: Report) -> int:
    """A day on which it may be reported again: in the same step or after one to three."""
    return row.at + story.rng.choice((1, 10, 25))


def _asked_again(story: Story, row: Report, **changes: object) -> None:
    told = again(row, _later(story, row), **changes)
    story.must_ask(row.movement, row, told)


def reference_with_decimal(story: Story) -> None:
    row = _row(story, ref=number(story))
    again(row, _later(story, row), ref=f"{row.ref}.0")


def reference_in_other_case(story: Story) -> None:
    row = _row(story)
    _asked_again(story, row, ref=(row.ref or "").lower())


def reference_without_zeros(story: Story) -> None:
    bare = number(story)
    _asked_again(story, _row(story, ref=f"0000{bare}"), ref=bare)


def reference_punctuated(story: Story) -> None:
    row = _row(story)
    ref = row.ref or ""
    _asked_again(story, row, ref=f"{ref[:3]}-{ref[3:]}")


def reference_reissued(story: Story) -> None:
    _asked_again(story, _row(story), ref=story.id("NPT"))


def reference_blank_later(story: Story) -> None:
    row = _row(story)
    again(row, _later(story, row), ref=None)


def reference_filled_later(story: Story) -> None:
    row = _row(story, ref=None)
    again(row, _later(story, row), ref=story.id("NPT"))


def reference_alone_alike(story: Story) -> None:
    """Nothing but the reference links the two, and it is spelled otherwise."""
    row = _row(story)
    _asked_again(story, row, ref=(row.ref or "").lower(), amount=row.amount + HALF_RUPEE,
                 presented=row.movement.day, umrn=None, utr=None)  # fmt: skip


def umrn_alone(story: Story) -> None:
    """Nothing but the mandate links the two."""
    row = _row(story)
    _asked_again(story, row, ref=None, amount=row.amount + HALF_RUPEE, day=row.movement.day + 2,
                 presented=None, utr=None)  # fmt: skip


def reference_reused_next_month(story: Story) -> None:
    first = _row(story)
    following = story.moved(first.movement.day + 30, first.amount)
    told = debit(story, following, following.day + 1, ref=first.ref)
    story.must_ask(following, first, told)


def reference_reused_by_other_loan(story: Story) -> None:
    first = _row(story)
    other = story.moved(first.movement.day, first.amount, loan=story.another_loan())
    told = debit(story, other, _later(story, first), ref=first.ref, umrn=f"X{story.umrn[1:]}")
    story.must_ask(other, first, told)


def reference_reused_elsewhere(story: Story) -> None:
    first = _row(story)
    other = story.moved(first.movement.day, 590, loan=story.another_loan())
    debit(story, other, _later(story, first), ref=first.ref, umrn=f"X{story.umrn[1:]}")


def free_text_reused(story: Story) -> None:
    day = story.rng.randint(2, 8)
    for month in (0, 30):
        movement = story.moved(day + month, 2500)
        story.may_ask(movement, receipt(story, movement, movement.day + 1, ref="EMI-1"))


def one_id_at_two_lenders(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    first = captured(story, movement, movement.day)
    elsewhere = story.loan.replace("UGRO-LN", "VIV-LN")
    story.loans.append(elsewhere)
    told = add(story, RAZORPAY["VIVRITI"], movement, _later(story, first), name="payment.captured",
               ref=first.ref, loan=elsewhere, mode="upi")  # fmt: skip
    story.must_ask(movement, first, told)


def loan_corrected_in_a_row(story: Story) -> None:
    row = _row(story)
    row.loan = story.another_loan()
    told = again(row, _later(story, row), loan=story.loan)
    story.must_ask(row.movement, row, told)


def bounce_then_other_reference(story: Story) -> None:
    tried = story.moved(story.rng.randint(2, 6))
    story.movements.remove(tried)
    debit(story, tried, tried.day + 1, says=Says.BOUNCED, utr=None)
    paid = story.moved(tried.day + 2, tried.amount)
    debit(story, paid, paid.day + story.rng.choice((1, 10)))
