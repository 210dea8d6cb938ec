"""Slips of values: days and amounts that cannot be right, what a spreadsheet damages, restores."""

from repayment_platform_tests.worlds import plain
from repayment_platform_tests.worlds.reporting import debit
from repayment_platform_tests.worlds.truth import Report, Story, again

LOSE = "the ledger loses it"
REAL = "real"
"""A file whose name begins so goes through the loader, whatever its world."""


def _misdated(story: Story, by: int) -> None:
    """A row with a day that cannot be right, and the corrected row later."""
    movement = story.moved(story.rng.randint(4, 8))
    movement.plain_to_see = True
    day = movement.day + by
    row = debit(story, movement, movement.day + 1, day=day, presented=day - 1)
    story.must_ask(movement, row)
    again(row, 25, day=movement.day, presented=movement.day - 1)


def last_year(story: Story) -> None:
    _misdated(story, -365)


def future_day(story: Story) -> None:
    _misdated(story, 365)


def paise_for_rupees(story: Story) -> None:
    *usual, last = plain.instalments(story, 7, 4)
    for movement in usual:
        debit(story, movement, movement.day + 1)
    last.plain_to_see = True
    row = debit(story, last, 31, amount=last.amount * 100)
    story.must_ask(last, row)
    again(row, 42, amount=last.amount)


def month_first(story: Story) -> None:
    """Three debits in a file that writes 09/13/2026; the corrected file comes later."""
    rows: list[Report] = []
    for movement in plain.instalments(story, 7, 3):
        movement.plain_to_see = True
        rows.append(debit(story, movement, 25, file=REAL, more={"form": "%m/%d/%Y"}))
        story.must_ask(movement, rows[-1])
    for row in rows:
        again(row, 41, file="", more={})


def damaged_reference(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    ref = f"5{int(story.prefix):08}{story.number:02}{story.rng.randrange(10**7):07}"
    row = debit(story, movement, movement.day + 1, ref=ref)
    told = again(row, 12, ref=f"{ref[:15]}000")
    story.may_ask(movement, row, told)


def ledger_restored(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    row = debit(story, movement, movement.day + 1)
    story.acts.append((1, LOSE, (movement, "")))
    story.must_ask(movement, row, step=2)
