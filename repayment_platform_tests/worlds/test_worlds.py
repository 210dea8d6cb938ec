"""The campaign of worlds in short, and its table."""

from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.worlds import partition, slips_again
from repayment_platform_tests.worlds.game import Game
from repayment_platform_tests.worlds.report import Tally
from repayment_platform_tests.worlds.table import GROUPS, slips
from repayment_platform_tests.worlds.world import MODULES, draw

SEEDS = range(1, 21)
LOANS = 16


def test_in_a_few_worlds_the_ledger_is_what_moved(
    server: DatabaseUrls, models_template: str
) -> None:
    tally = Tally()
    with copied_database(server, models_template) as database:
        tally.add(Game(database, [draw(seed, LOANS) for seed in SEEDS]).play())

    assert not tally.failed, f"{tally}: {tally.failed[0].kind}, {tally.failed[0].what}"


def test_the_same_reports_give_the_same_payments_in_one_run_or_in_many(
    server: DatabaseUrls, models_template: str
) -> None:
    assert models_template

    assert partition.differences(server, SEEDS, LOANS) == []


def test_every_slip_of_the_table_is_told_and_every_one_told_is_in_the_table() -> None:
    told = {
        name
        for module in (*MODULES, slips_again)
        for name, each in vars(module).items()
        if callable(each) and each.__module__ == module.__name__ and name[0] != "_"
    }

    assert told - {"alone"} == set(slips())


def test_every_slip_is_of_lenders_that_there_are() -> None:
    assert {lender for slip in slips().values() for lender in slip.lenders} == set(GROUPS["all"])


def test_every_slip_comes_fifty_times_in_ten_thousand_stories() -> None:
    worlds = [draw(seed, LOANS) for seed in range(1, 626)]
    stories = [story for world in worlds for story in world.stories]

    assert len(stories) == 10_000
    rare = {name: n for name in slips() if (n := [s.slip for s in stories].count(name)) < 50}
    assert rare == {}


def test_a_world_is_a_function_of_its_seed_alone() -> None:
    def told(seed: int) -> list[str]:
        return [report.told() for report in draw(seed, LOANS).reports()]

    assert told(7) == told(7)
    assert told(7) != told(8)
