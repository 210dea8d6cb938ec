"""Slips of a warehouse that was restored from a backup that is older than a posting."""

from repayment_platform_tests.worlds import slips_course, slips_gateways
from repayment_platform_tests.worlds.reporting import debit
from repayment_platform_tests.worlds.truth import Story

FORGET = "the warehouse forgets that it posted"
FOLDED_ANEW = "and reads its reports again"


def _forgotten(story: Story, how: str = "") -> None:
    """After the run that posted it."""
    story.acts += [(0, FORGET, (movement, how)) for movement in story.movements]


def warehouse_restored(story: Story) -> None:
    slips_course.late_return(story)
    _forgotten(story)


def warehouse_restored_refund(story: Story) -> None:
    slips_gateways.refund_whole(story)
    _forgotten(story)


def warehouse_restored_sent(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    debit(story, movement, movement.day + 1)
    _forgotten(story, FOLDED_ANEW)
