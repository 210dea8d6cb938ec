"""Files that are dropped once more after a restore come as they came before."""

import os
import shutil
import time
from pathlib import Path

from psycopg import sql

from repayment_platform.landing.inbox import inbox_of, land_inbox
from repayment_platform.sources.registry import SOURCES
from repayment_platform_tests.sources.reading import HEADER, text_of
from repayment_platform_tests.transformation.conftest import EMPTIED
from repayment_platform_tests.transformation.platform import OF_POSTING, Platform, loan
from repayment_platform_tests.transformation.test_withdrawals import COLLECTION

NACH, PAYMENT = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"


def drop(home: Path, table: str, text: str, age: float) -> None:
    path = inbox_of(home) / table / "a.csv"
    path.write_text(text, newline="")
    os.utime(path, (time.time() - age, time.time() - age))


def land(platform: Platform) -> None:
    home = platform.settings.repayment_home
    taken = land_inbox(platform.models.urls.psycopg, home, received_by="inbox").values()
    results = [result for of_source in taken for result in of_source.results]
    assert results
    assert all(result.rows_landed == 1 for result in results)
    platform.run()


def restored_to_before(platform: Platform) -> None:
    """What `restore` leaves where the backup is older than all of this; the ledger stays."""
    tables = [sql.Identifier("RAW", table) for table in SOURCES]
    tables += [sql.Identifier("CORE", table) for table in (*EMPTIED, *OF_POSTING)]
    run = platform.models.connection.execute
    run(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))
    run('UPDATE "CORE"."CORE_RAW_CUT" SET cut_id = 0, keyed_to = 0')
    run('INSERT INTO "CORE"."CORE_WORK_FEED" DEFAULT VALUES')


def test_a_restore_posts_nothing_twice_where_reports_of_two_sources_are_of_two_days(
    platform: Platform,
) -> None:
    """The key is made of the first report, which is not that of the first folder."""
    home = platform.settings.repayment_home
    paid = ["DMI-APP-1", "500.00", "04/11/2025", "Clear", "T1"]
    drop(home, PAYMENT, text_of(paid, header=COLLECTION), age=120)
    land(platform)
    drop(home, NACH, text_of(loan(1, "A"), header=HEADER), age=60)  # of 6 November
    land(platform)
    assert platform.ledger() == [("DMI-APP-1", "500.00")]
    restored_to_before(platform)
    for table in (NACH, PAYMENT):
        shutil.move(inbox_of(home) / table / ".landed" / "a.csv", inbox_of(home) / table)
    land(platform)
    assert platform.ledger() == [("DMI-APP-1", "500.00")]
