"""Making a story that went wrong as small as possible.

What belongs here: leaving out other loans and reports as long as the same goes wrong. What does
not: playing (`game`).

All that is tried at once is played in lockstep, each as a world with ids of its own.
"""

from collections.abc import Iterable

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests import dbt_once
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.worlds.game import Game
from repayment_platform_tests.worlds.judge import Violation
from repayment_platform_tests.worlds.world import FIRST_LOANS, Cut, draw

_FIRST_NUMBER = 500_000
_ROUNDS = 3


def smallest(urls: DatabaseUrls, seed: int, loans: int, violation: Violation) -> Cut:
    """What is left of the world when all is left out that the violation does not need."""
    story = violation.story
    kept = frozenset({*range(FIRST_LOANS), story.number})
    cut = Cut(kept)
    if not _goes_wrong(urls, seed, loans, violation, [cut])[0]:
        return Cut()
    for _ in range(_ROUNDS):
        reports = [
            (story.number, report.number)
            for report in story.reports
            if (story.number, report.number) not in cut.dropped
        ]
        tried = [Cut(kept, cut.dropped | {report}) for report in reports]
        wrong = _goes_wrong(urls, seed, loans, violation, tried)
        needless = [report for report, is_wrong in zip(reports, wrong, strict=True) if is_wrong]
        if not needless:
            break
        # All of them together, or else the first of them alone.
        together = Cut(kept, cut.dropped | set(needless))
        alone = Cut(kept, cut.dropped | {needless[0]})
        cut = together if _goes_wrong(urls, seed, loans, violation, [together])[0] else alone
    return cut


def _goes_wrong(
    urls: DatabaseUrls, seed: int, loans: int, violation: Violation, cuts: Iterable[Cut]
) -> list[bool]:
    """Of each cut whether the same goes wrong with the story."""
    worlds = [draw(seed, loans, _FIRST_NUMBER + n, cut) for n, cut in enumerate(cuts)]
    if not worlds:
        return []
    with copied_database(urls, dbt_once.TEMPLATE) as database:
        game = Game(database, worlds).play()
    number, kind = violation.story.number, violation.kind
    wrong = {
        id(story)
        for found in game.violations
        if found.kind == kind and (story := found.story).number == number
    }
    return [any(id(story) in wrong for story in world.stories) for world in worlds]
