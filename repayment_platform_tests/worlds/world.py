"""A world: some loans of one lender, their stories, and the files that their reports share.

What belongs here: drawing a world from its seed, and leaving out parts of it. What does not: what
the slips do, landing.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from random import Random

from repayment_platform_tests.worlds import (
    plain,
    slips_again,
    slips_course,
    slips_gateways,
    slips_references,
    slips_restored,
    slips_sources,
    slips_values,
)
from repayment_platform_tests.worlds.calendar import Calendar
from repayment_platform_tests.worlds.reporting import BANKS, LENDERS_FILES
from repayment_platform_tests.worlds.table import slips
from repayment_platform_tests.worlds.truth import STEP_DAYS, STEPS, Report, Story, in_order

MODULES = (
    slips_references, slips_sources, slips_course, slips_gateways, slips_values, slips_restored,
)  # fmt: skip
_LOANS = {
    "ARTHMATE": "ARTH-LN-", "IKF": "IKF-LN-", "DMI": "DMI-APP-", "SHIVALIK": "SHIV-LN-",
    "GB": "GB-LN-", "UGRO": "UGRO-LN-", "VIVRITI": "VIV-LN-",
}  # fmt: skip
_FIRST = date(2026, 6, 1)
_PLAIN_SHARE, _REAL_SHARE = 0.1, 0.05
_AGAIN = (1, 3)
"""Of five seeds these have a file that comes again."""
_UNITS = 12
_OFTEN = {"again_part": 2, "again_bare_amount": 1.67, "again_few": 2, "again_few_bare": 3}
"""Slips that few rows of a file have come in more worlds."""
_CORRECTIONS = ("_amount", "_loan", "_near", "_far", "_unchanged", "_day", "_all", "_withdrawn")
"""Endings of the slips of whole files that correct what one source alone has reported."""
_FEW_ROWS = 5
FIRST_LOANS = 2
"""Loans of plain stories that begin before all others."""


@dataclass(frozen=True)
class Cut:
    """What is left of a world: some of its stories, without some of their reports."""

    stories: frozenset[int] | None = None
    """Their numbers; None for all."""
    dropped: frozenset[tuple[int, int]] = frozenset()
    """Reports that never arrive, by the numbers of story and report."""


@dataclass(eq=False)
class World:
    """What a seed makes."""

    seed: int
    number: int
    """In its ids, which no other world of a database bears."""
    lender: str
    calendar: Calendar
    real: bool
    """Its files go through the loader, and its events are signed."""
    stories: list[Story] = field(default_factory=list)

    def reports(self) -> list[Report]:
        return list(in_order(self.stories))

    def arrivals(self, step: int) -> list[tuple[tuple[int, int, int, str, str], list[Report]]]:
        """What arrives in a step in its order: files and events, each with its rows."""
        groups = defaultdict(list)
        for report in self.reports():
            if report.step == step:
                place = Random(f"{self.seed} {report.at} {report.table}").randrange(50)
                one = f"{report.file}{report.name and (report.story.number, report.number)}"
                groups[report.at, report.turn, place, report.table, one].append(report)
        for rows in groups.values():
            rows.sort(
                key=lambda row: Random(f"{self.seed} {row.story.number} {row.number}").random()
            )
        return sorted(groups.items())


def draw(seed: int, loans: int, number: int | None = None, cut: Cut | None = None) -> World:
    """The world of a seed; `number` where it is played several times beside itself."""
    rng = Random(f"world {seed}")
    is_again = seed % 5 in _AGAIN
    number_of_kind = seed // 5 * (len(_AGAIN) if is_again else 5 - len(_AGAIN)) + seed % 5 // 2
    lender, names = _dealt(is_again, number_of_kind, loans - FIRST_LOANS)
    first = _FIRST + timedelta(days=rng.randrange(28))
    world = World(seed, seed if number is None else number, lender, Calendar(first),
                  rng.random() < _REAL_SHARE)  # fmt: skip
    mode = names[0] if is_again else ""
    for each in range(loans):
        is_plain = is_again or each < FIRST_LOANS or rng.random() < _PLAIN_SHARE
        world.stories.append(
            _story(world, each, "" if is_plain else names[each - FIRST_LOANS], mode)
        )
    if is_again:
        _send_again(world, rng, mode)
    return _without(world, cut) if cut else world


def _dealt(is_again: bool, number: int, count: int) -> tuple[str, list[str]]:
    """The lender of the n-th world of its kind, and its slips: all are dealt in turn, so that each
    comes as often as any other."""
    decks = _decks()[is_again]
    turns = [lender for lender in sorted(decks) for _ in range(-(-len(decks[lender]) // 4))]
    Random("turns").shuffle(turns)
    turn, place = divmod(number, len(turns))
    lender, deck = turns[place], decks[turns[place]]
    before = turn * turns.count(lender) + turns[:place].count(lender)
    dealt = 1 if is_again else count
    return lender, [deck[(before * dealt + each) % len(deck)] for each in range(count)]


@cache
def _decks() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """For single stories and for whole files: the slips of each lender."""
    decks: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    for slip in slips().values():
        deck = decks[hasattr(slips_again, slip.name)]
        for lender in slip.lenders:
            units = _UNITS * _OFTEN.get(slip.name, 1) / len(slip.lenders)
            deck.setdefault(lender, []).extend([slip.name] * round(units))
    for lender, names in (*decks[0].items(), *decks[1].items()):
        Random(lender).shuffle(names)
    return decks


def _story(world: World, each: int, name: str, mode: str) -> Story:
    rng = Random(f"story {world.seed} {each}")
    prefix = f"{world.number:06}"
    loan = f"{_LOANS[world.lender]}{prefix}{each:02}"
    umrn = f"HDFC{world.number:010}{each:06}"
    story = Story(rng, world.lender, loan, umrn, each, prefix, name or "plain",
                  digits=mode == "again_decimal", order=_order(mode),
                  start=4 if mode else None)  # fmt: skip
    # Two loans at least bear the UTR of a payout from the first day on.
    tell = plain.first if each < FIRST_LOANS else function(name) if name else None
    (tell or rng.choice(list(plain.stories_of(world.lender))))(story)
    return story


def _order(mode: str) -> str:
    if not mode:
        return ""
    return "alone" if mode.endswith(_CORRECTIONS) else "beside"


def function(name: str) -> Callable[[Story], None]:
    """What a slip does to a story."""
    found: list[Callable[[Story], None]] = [
        getattr(module, name) for module in MODULES if hasattr(module, name)
    ]
    return found[0]


def _send_again(world: World, rng: Random, mode: str) -> None:
    """Have a file of the world come once more, when all else has been reported."""
    files = defaultdict(list)
    wants_bank = slips()[mode].lenders != slips()["again_few_bare"].lenders
    for report in world.reports():
        if not report.name and not report.file:
            files[report.table, report.at, report.turn].append(report)
    banks_or_all = [rows for key, rows in files.items() if key[0] in BANKS.values()] or list(
        files.values()
    )
    candidates = (
        banks_or_all
        if wants_bank
        else [rows for key, rows in files.items() if key[0] in LENDERS_FILES.values()]
    )
    if mode in ("again_whole", "again_part"):
        candidates = list(files.values())
    if not candidates:
        return
    rows = max(candidates, key=lambda rows: (min(len(rows), _FEW_ROWS), rng.random()))
    last = max(report.at for report in world.reports())
    at = min(last + rng.choice((1, 1, 8)), STEPS * STEP_DAYS - 1)
    slipped = {row.story for row in getattr(slips_again, mode)(rows, at)}
    for story in {row.story for row in rows}:
        story.slip = mode if story in slipped else "again_whole"


def _without(world: World, cut: Cut) -> World:
    for story in world.stories:
        gone = [r for r in story.reports if (story.number, r.number) in cut.dropped]
        story.reports = [r for r in story.reports if r not in gone and r.replaces not in gone]
    if cut.stories is not None:
        world.stories = [s for s in world.stories if s.number in cut.stories]
    return world
