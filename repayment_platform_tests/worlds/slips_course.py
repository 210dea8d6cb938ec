"""Slips of the course in time: bounces, late returns, and what is cleared again."""

from typing import Any

from repayment_platform_tests.worlds.reporting import bounce, debit, give_back, receipt
from repayment_platform_tests.worlds.truth import Movement, Report, Says, Story, again


def _posted(story: Story) -> Report:
    """A debit in the first step, which is posted then."""
    movement = story.moved(story.rng.randint(2, 7))
    return debit(story, movement, movement.day + 1)


def _returned(story: Story, row: Report, at: int, **changes: Any) -> Report:
    day = (row.day or 0) + story.rng.choice((2, 4, 6))
    told = give_back(row, at, **{"day": min(day, at)} | changes)
    story.must_ask(row.movement, row, told)
    return told


def _cleared_again(story: Story, row: Report, at: int) -> Report:
    """The same debit presented once more, under its reference."""
    movement = story.moved(at - 1, row.movement.amount)
    told = again(row, at, day=movement.day, presented=movement.day - 1, utr=story.id("ICIC"))
    told.movement = movement
    return told


def bounce_after(story: Story) -> None:
    row = _posted(story)
    day = (row.day or 0) + story.rng.choice((0, 1))
    told = give_back(row, story.rng.choice((12, 25)), says=Says.BOUNCED, day=day)
    story.must_ask(row.movement, row, told)


def bounce_after_of_lender(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 7))
    row = receipt(story, movement, movement.day + 1, umrn=story.umrn)
    told = give_back(row, 12, says=Says.BOUNCED, day=movement.day + 1)
    story.must_ask(movement, row, told)


def bounce_settlement_blank(story: Story) -> None:
    row = _posted(story)
    told = give_back(row, story.rng.choice((12, 25)), says=Says.BOUNCED, day=None)
    story.must_ask(row.movement, row, told)


def bounce_before_late(story: Story) -> None:
    row = _posted(story)
    day = (row.day or 0) - 3
    unpaid = Movement(row.movement.loan, row.movement.amount, day)
    bounce(story, unpaid, story.rng.choice((row.at + 1, 15)), day=day, presented=day - 1)


def bounce_alone(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 7))
    story.movements.remove(movement)
    bounce(story, movement, movement.day + 1)


def late_return(story: Story) -> None:
    _returned(story, _posted(story), story.rng.choice((12, 25)))


def late_return_bare(story: Story) -> None:
    _returned(story, _posted(story), story.rng.choice((12, 25)), presented=None)


def second_return(story: Story) -> None:
    row = _posted(story)
    told = _returned(story, row, 12)
    again(told, 31, day=(told.day or 0) + 1)


def cleared_again(story: Story) -> None:
    row = _posted(story)
    _returned(story, row, 12)
    cleared = _cleared_again(story, row, story.rng.choice((21, 31)))
    story.must_ask(cleared.movement, cleared)


def cleared_again_at_once(story: Story) -> None:
    row = _posted(story)
    _returned(story, row, 12, day=(row.day or 0) + 2)
    cleared = _cleared_again(story, row, 14)
    story.must_ask(cleared.movement, cleared)


def cleared_again_bare(story: Story) -> None:
    row = _posted(story)
    _returned(story, row, 12, day=(row.day or 0) + 2)
    _cleared_again(story, row, story.rng.choice((14, 21, 31)))


def cleared_after_second_return(story: Story) -> None:
    row = _posted(story)
    _returned(story, row, 12)
    cleared = _cleared_again(story, row, 21)
    story.must_ask(cleared.movement, cleared)
    _returned(story, cleared, 42, day=25)
    last = _cleared_again(story, row, 51)
    story.must_ask(last.movement, last)


def cleared_after_bounce(story: Story) -> None:
    row = _posted(story)
    told = give_back(row, 12, says=Says.BOUNCED, day=row.day)
    story.must_ask(row.movement, row, told)
    _cleared_again(story, row, 31)


def returned_before_posting(story: Story) -> None:
    row = _posted(story)
    _returned(story, row, 9, day=9)


def returned_then_other_source(story: Story) -> None:
    row = _posted(story)
    _returned(story, row, 9, day=9)
    receipt(story, row.movement, 12, day=row.day)


def return_of_other_loan(story: Story) -> None:
    row = _posted(story)
    other = story.moved(row.movement.day, 590, loan=story.another_loan())
    theirs = debit(story, other, row.at, umrn=f"{story.umrn[:-1]}X")
    told = give_back(theirs, 12, day=10, ref=row.ref)
    story.must_ask(other, row, theirs, told)


def return_alone(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 7))
    told = debit(story, movement, movement.day + 1, says=Says.RETURNED, utr=None)
    movement.back.append((told, movement.amount))
    story.must_ask(movement, told)
