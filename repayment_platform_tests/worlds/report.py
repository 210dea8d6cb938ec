"""What a campaign came to, slip by slip.

What belongs here: counting, the table, and whether it is a failure. What does not: judging.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.table import Column, Table

from repayment_platform_tests.worlds.game import Game
from repayment_platform_tests.worlds.judge import KINDS, Violation
from repayment_platform_tests.worlds.table import slips

_ENOUGH = 20
"""So many stories of a slip must have been played before its mark is called untrue."""


@dataclass
class Tally:
    """Stories by slip, and what was found wrong with how many of them."""

    stories: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """Of them those of which somebody was asked something."""
    found: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failed: list[Violation] = field(default_factory=list)
    """The first violation of each kind of each story that was not expected to fail."""
    anew: int = 0
    """Questions that were asked again after a decision, because something had changed."""
    expected: Counter[str] = field(default_factory=Counter)
    """Stories that failed as their mark says."""

    def add(self, game: Game) -> None:
        """Count in what a game came to."""
        for world in game.worlds:
            self.stories.update(story.slip for story in world.stories)
            self.held.update(story.slip for story in world.stories if id(story) in game.held)
        self.anew += len(game.anew)
        later = {name for name, slip in slips().items() if slip.later}
        for violation in first_of_kind(game.violations):
            slip = violation.story.slip
            self.found[slip][violation.kind] += 1
            if slip in later:
                self.expected[slip] += 1
            else:
                self.failed.append(violation)

    def untrue_marks(self) -> list[str]:
        """Slips that are marked as expected to fail, and of which none failed."""
        return [
            name
            for name, slip in slips().items()
            if slip.later and self.stories[name] >= _ENOUGH and not self.expected[name]
        ]

    @property
    def is_failed(self) -> bool:
        return bool(self.failed or self.untrue_marks())

    def table(self) -> Table:
        """A line a slip; `plain` first."""
        table = Table(Column("slip", no_wrap=True), "stories", "outcome", "asked", *KINDS)
        for name in ("plain", *slips()):
            slip = slips().get(name)
            outcome = f"{slip.outcome}{', later' if slip.later else ''}" if slip else "own"
            counts = (self.stories[name], self.held[name])
            table.add_row(name, str(counts[0]), outcome, str(counts[1]), *self._found(name))
        total = (self.stories.total(), self.held.total())
        sums = [sum(found[kind] for found in self.found.values()) for kind in KINDS]
        table.add_section()
        table.add_row("all", str(total[0]), "", str(total[1]), *map(str, sums))
        return table

    def _found(self, name: str) -> list[str]:
        return [str(self.found[name][kind] or "") for kind in KINDS]

    def __str__(self) -> str:
        wrong = len({id(violation.story) for violation in self.failed})
        marks = "".join(f"; no longer fails: {name}" for name in self.untrue_marks())
        found = f"violations in {wrong} of them" if wrong else "no violation"
        anew = f"; {self.anew} questions asked anew, because something had changed"
        return f"{self.stories.total()} stories: {found}{marks}{anew}"


def first_of_kind(violations: Iterable[Violation]) -> list[Violation]:
    """The first violation of each kind of each story."""
    first: dict[tuple[int, str], Violation] = {}
    for violation in violations:
        first.setdefault((id(violation.story), violation.kind), violation)
    return list(first.values())
