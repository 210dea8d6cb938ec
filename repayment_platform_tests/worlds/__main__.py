"""`python -m repayment_platform_tests.worlds`: play worlds and report.

What belongs here: options, progress, the report. What does not: playing (`game`), judging
(`judge`).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests import dbt_once
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.worlds import partition
from repayment_platform_tests.worlds.game import Game, batches
from repayment_platform_tests.worlds.judge import Violation
from repayment_platform_tests.worlds.place import server
from repayment_platform_tests.worlds.report import Tally
from repayment_platform_tests.worlds.shrink import smallest
from repayment_platform_tests.worlds.world import Cut, draw

_BATCH = 100
"""Worlds that are played together; the rows of more make the models slower."""


def main() -> int:
    """Exit code 1 when anything is not as docs/worlds.md says."""
    options = _parser().parse_args()
    console = Console(soft_wrap=True, highlight=False, width=200)
    with server(options.kept) as urls:
        if options.partition:
            return _partition(urls, options)
        if options.seed is not None:
            return _one(urls, options, console)
        return _campaign(urls, options, console)


def _campaign(urls: DatabaseUrls, options: argparse.Namespace, console: Console) -> int:
    began = time.monotonic()
    tally = Tally()
    seeds = range(options.first, options.first + options.seeds)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("worlds", total=len(seeds))
        for some in batches(seeds, _BATCH):
            tally.add(_played(urls, some, options.loans))
            progress.update(task, advance=len(some))
    for violation in _shown(tally, options.show):
        _tell(urls, options, console, violation)
    console.print(tally.table())
    console.print(f"{tally}; {time.monotonic() - began:.0f} s")
    return int(tally.is_failed)


def _played(urls: DatabaseUrls, seeds: Sequence[int], loans: int) -> Game:
    with copied_database(urls, dbt_once.TEMPLATE) as database:
        return Game(database, [draw(seed, loans) for seed in seeds]).play()


def _shown(tally: Tally, most: int) -> list[Violation]:
    """One violation of each slip and kind."""
    chosen = {(each.story.slip, each.kind): each for each in reversed(tally.failed)}
    return list(chosen.values())[::-1][:most]


def _tell(
    urls: DatabaseUrls, options: argparse.Namespace, console: Console, violation: Violation
) -> None:
    """The smallest story in which the same goes wrong, as it went."""
    story = violation.story
    seed = int(story.prefix)
    cut = smallest(urls, seed, options.loans, violation)
    with copied_database(urls, dbt_once.TEMPLATE) as database:
        game = Game(database, [draw(seed, options.loans, cut=cut)], tells=True).play()
    console.print(f"━━ {violation.kind}: {story.slip}, {story.lender}", markup=False)
    console.print("\n".join(game.told), markup=False)
    again = f"./run worlds --seed {seed} --loans {options.loans}"
    console.print(f"VIOLATION {violation.kind}: {violation.what}\nagain: {again}", markup=False)


def _one(urls: DatabaseUrls, options: argparse.Namespace, console: Console) -> int:
    """One world with everything that happens in it."""
    only = Cut(frozenset({0, 1, options.story})) if options.story is not None else None
    with copied_database(urls, dbt_once.TEMPLATE) as database:
        world = draw(options.seed, options.loans, cut=only)
        game = Game(database, [world], tells=True).play()
    tally = Tally()
    tally.add(game)
    console.print("\n".join(game.told), markup=False)
    for each in tally.failed:
        told = f"VIOLATION {each.kind}: story {each.story.number}, {each.story.slip}: {each.what}"
        console.print(told, markup=False)
    console.print(str(tally))
    return int(bool(tally.failed))


def _partition(urls: DatabaseUrls, options: argparse.Namespace) -> int:
    """The same reports keyed in one run and in many."""
    found = [
        difference
        for some in batches(range(options.first, options.first + options.seeds), _BATCH)
        for difference in partition.differences(urls, some, options.loans)
    ]
    shown = "\n".join(found[: options.show])
    sys.stdout.write(f"{shown}\n{len(found)} reports get another key in one run than in many\n")
    return int(bool(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="worlds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=40, help="how many worlds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one only, with everything that happens")
    parser.add_argument("--story", type=int, help="with --seed: none but this story of it")
    parser.add_argument("--loans", type=int, default=16, help="stories of a world")
    parser.add_argument("--show", type=int, default=5, help="so many failures are told")
    parser.add_argument("--partition", action="store_true", help="compare one run with many")
    parser.add_argument("--kept", type=Path, help="a folder for the server, to be used again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
