"""Whether the same reports in the same order give the same payments, in one run or in many.

What belongs here: keying the same worlds in both ways, and what differs. What does not: posting,
and decisions, which change what later reports find.
"""

from collections.abc import Callable, Sequence

import psycopg

from repayment_platform.warehouse.raw_cut import advance_cuts
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests import dbt_once
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.worlds.landing import Landing
from repayment_platform_tests.worlds.truth import STEPS, Report
from repayment_platform_tests.worlds.world import World, draw

_NEWEST = """
SELECT DISTINCT ON (raw_id) raw_id, source_key FROM "CORE"."CORE_PAYMENT_KEY"
ORDER BY raw_id, rule = 'provisional', batch DESC
"""


def differences(urls: DatabaseUrls, seeds: Sequence[int], loans: int) -> list[str]:
    """The reports that get another key when all is keyed at once."""
    many = _keys(urls, seeds, loans, lambda _: True)
    one = _keys(urls, seeds, loans, lambda step: step == STEPS - 1)
    return [
        f"{report.story.slip}: {report.told()}: in many runs {many[place][1]}, in one {key}"
        for place, (report, key) in one.items()
        if many[place][1] != key
    ]


def _keys(
    urls: DatabaseUrls, seeds: Sequence[int], loans: int, keys_after: Callable[[int], bool]
) -> dict[tuple[int, int, int], tuple[Report, str | None]]:
    worlds = [draw(seed, loans) for seed in seeds]
    with copied_database(urls, dbt_once.TEMPLATE) as database:
        newest = _keyed(database, worlds, keys_after)
    return {
        (world.seed, report.story.number, report.number): (report, newest.get(report.raw_id or 0))
        for world in worlds
        for report in world.reports()
    }


def _keyed(
    urls: DatabaseUrls, worlds: list[World], keys_after: Callable[[int], bool]
) -> dict[int, str]:
    """The key of each row, once all steps have landed."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        landing = Landing(connection, urls.psycopg)
        for step in range(STEPS):
            landing.step(worlds, step)
            if keys_after(step):
                advance_cuts(urls)
                connection.execute('SELECT "CORE".assign_payment_keys()')
        newest: dict[int, str] = dict(connection.execute(_NEWEST).fetchall())
    return newest
