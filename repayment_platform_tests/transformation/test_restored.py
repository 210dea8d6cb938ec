"""Files that are dropped once more after a restore come as they came before."""

import shutil
from dataclasses import replace

import psycopg

from repayment_platform.landing.inbox import inbox_of, land_inbox
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import settings_of
from repayment_platform_tests.databases import copied_database
from repayment_platform_tests.landing.test_inbox import drop
from repayment_platform_tests.sources.reading import HEADER, text_of
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_withdrawals import COLLECTION
from repayment_platform_tests.transformation.warehouse import Warehouse

NACH, PAYMENT = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"


def land(platform: Platform) -> None:
    taken = land_inbox(platform.models.urls.psycopg, platform.folder, received_by="inbox").values()
    results = [result for of_source in taken for result in of_source.results]
    assert results
    assert all(result.rows_landed == 1 for result in results)
    platform.run()


def test_a_restore_posts_nothing_twice_where_reports_of_two_sources_are_of_two_days(
    platform: Platform, server: DatabaseUrls, models_template: str
) -> None:
    """The key is made of the first report, which is not that of the first folder."""
    home = platform.folder
    paid = ["DMI-APP-1", "500.00", "04/11/2025", "Clear", "T1"]
    drop(home, "a.csv", text_of(paid, header=COLLECTION), source=PAYMENT, age=120)
    land(platform)
    drop(home, "a.csv", text_of(loan(1, "A"), header=HEADER))  # of 6 November
    land(platform)
    assert platform.ledger() == [("DMI-APP-1", "500.00")]
    for table in (NACH, PAYMENT):
        shutil.move(inbox_of(home) / table / ".landed" / "a.csv", inbox_of(home) / table)
    with (
        copied_database(server, models_template) as backup,  # of before all this; the ledger stays
        psycopg.connect(backup.psycopg, autocommit=True) as connection,
    ):
        restored = Warehouse(backup, connection)
        land(replace(platform, models=restored, settings=settings_of(backup, platform.sandbox)))
    assert platform.ledger() == [("DMI-APP-1", "500.00")]
