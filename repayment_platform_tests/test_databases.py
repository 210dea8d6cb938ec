"""The day on which what a test lands has landed."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import psycopg

from repayment_platform.sources.dates import KOLKATA
from repayment_platform_tests.databases import TODAY, Emptied

Clock = Callable[[date | None], None]
LAND = """
INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, outcome)
VALUES (1, 1, '{}', 'success')
RETURNING landed_at
"""


def landed(database: Emptied) -> datetime:
    with psycopg.connect(database.urls.psycopg) as connection:
        row = connection.execute(LAND).fetchone()
        connection.rollback()
    assert row
    at: datetime = row[0].astimezone(KOLKATA)
    return at


def test_what_lands_has_landed_on_the_day_of_the_tests(
    migrated_database: Emptied, migrated_urls: object
) -> None:
    assert landed(migrated_database).date() == TODAY


def test_a_test_chooses_its_day_and_the_next_one_has_the_day_of_the_tests_again(
    migrated_database: Emptied, clock: Clock
) -> None:
    name = migrated_database.urls.dbname
    clock(date(2031, 2, 28))
    assert landed(migrated_database).date() == date(2031, 2, 28)
    migrated_database.restore()
    assert landed(migrated_database).date() == TODAY
    assert migrated_database.urls.dbname == name, "it need not have been copied anew"


def test_a_test_that_chooses_no_day_lands_now(migrated_database: Emptied, clock: Clock) -> None:
    clock(None)
    assert datetime.now(UTC) - landed(migrated_database) < timedelta(minutes=5)
