"""A database from an hour ago: run again, nothing is posted twice and nothing is forgotten."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from repayment_platform.commands import backup
from repayment_platform.exceptions.decisions import NotOfItsKind, decide
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import open_holds, open_questions
from repayment_platform.landing.files import ingest_file
from repayment_platform.posting.proof import nothing_recorded_twice, nothing_unaccounted
from repayment_platform.posting.runner import run_posting
from repayment_platform.sample_data.generate import generate
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import commands_on
from repayment_platform_tests.conftest import Sandbox, settings_of
from repayment_platform_tests.databases import TODAY, copied_database
from repayment_platform_tests.dbt_once import play
from repayment_platform_tests.posting.conftest import AUTOMATED
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_given_back import REVERSED
from repayment_platform_tests.transformation.warehouse import Warehouse

POSTED = """
SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE status = 'success'
"""


@pytest.fixture
def own(server: DatabaseUrls, models_template: str) -> Iterator[DatabaseUrls]:
    """A database with nothing in it that a real one has not: it is dropped and made again."""
    with copied_database(server, models_template) as urls:
        with psycopg.connect(urls.psycopg) as connection:
            connection.execute("DROP SCHEMA pristine CASCADE")
        yield urls


@pytest.fixture
def sample(tmp_path: Path, sandbox: Sandbox) -> Path:
    root = tmp_path / "sample"
    root.mkdir()
    generate(root, 200, 4, TODAY)
    loans = (root / "loans.json").read_bytes()
    sandbox.post("loans", json.loads(loans))
    return root


def land(urls: DatabaseUrls, sample: Path, part: slice) -> None:
    for source in SOURCES.values():
        if source.kind is Kind.FILE:
            for file in sorted((sample / source.table).iterdir())[part]:
                ingest_file(urls.psycopg, file, source.table, received_by="test")
    play(urls)


def test_a_restored_database_posts_nothing_twice(
    sandbox: Sandbox, own: DatabaseUrls, sample: Path, tmp_path: Path
) -> None:
    """Between backup and restore more landed, and all was posted; the files come again after it."""
    urls, settings = own, settings_of(own, sandbox)
    land(urls, sample, slice(1))
    run_posting(settings, urls.psycopg, AUTOMATED, "before")
    backup.write(urls, tmp_path / "an-hour-ago")
    before = count(urls, POSTED)
    land(urls, sample, slice(1, None))
    run_posting(settings, urls.psycopg, AUTOMATED, "after")
    ledger = sandbox.get("ledger")
    assert 0 < before < len(ledger)

    backup.read(urls, tmp_path / "an-hour-ago")
    migrate(urls)
    assert count(urls, POSTED) == before
    land(urls, sample, slice(None))
    run_posting(settings, urls.psycopg, AUTOMATED, "restored")

    assert sandbox.get("ledger") == ledger
    assert len({row["externalId"] for row in ledger}) == len(ledger)
    assert count(urls, POSTED) == len(ledger)
    assert nothing_recorded_twice(urls.psycopg).findings == []
    assert nothing_unaccounted(urls.psycopg).findings == []


@contextmanager
def platform_on(urls: DatabaseUrls, sandbox: Sandbox, folder: Path) -> Iterator[Platform]:
    """Files land in it and runs post from it; a restore wants it stopped."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        yield Platform(Warehouse(urls, connection), settings_of(urls, sandbox), sandbox, folder)


def test_what_is_given_back_after_a_restore_is_looked_up_in_fineract(
    sandbox: Sandbox, own: DatabaseUrls, tmp_path: Path
) -> None:
    """Posted since the backup were one payment that it does not know, and one that it knows as held
    and not in Fineract. Both were taken back by the bank."""
    run, file = commands_on(own, sandbox), str(tmp_path / "backup")
    sandbox.post("loans", [{"externalId": f"DMI-APP-{n}"} for n in (1, 2)])
    with platform_on(own, sandbox, tmp_path) as platform:
        platform.land(loan(1, "A"))
        platform.land(loan(1, "A", **REVERSED))
        platform.run()
        (hold,) = open_holds(platform.models.connection)
        assert hold.kind == "late_return"
        assert run("backup", file).code == 0
        decide(platform.models.connection, hold.id, Decision.RELEASE, "asha", "paid again")
        platform.land(loan(2, "B"))
        platform.run()
        ledger = platform.ledger()
        assert ledger == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]

    assert run("restore", file, "--replace").code == 0
    with platform_on(own, sandbox, tmp_path) as platform:
        connection = platform.models.connection
        (hold,) = open_holds(connection)
        with pytest.raises(NotOfItsKind, match="asks Fineract first"):
            decide(connection, hold.id, Decision.NOT_A_REPAYMENT, "asha", "returned")
        platform.land(loan(2, "B"))
        platform.land(loan(2, "B", **REVERSED))
        platform.run()
        asked = [(each.kind, each.loan) for each in open_questions(connection)]
        assert sorted(asked) == [
            ("returned_after_posting", "DMI-APP-1"),
            ("returned_after_posting", "DMI-APP-2"),
        ]
        assert platform.ledger() == ledger
        assert nothing_recorded_twice(own.psycopg).findings == []
        assert nothing_unaccounted(own.psycopg).findings == []


def test_a_database_in_use_is_not_replaced(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    backup.write(database_urls, tmp_path / "file")
    with (
        psycopg.connect(database_urls.psycopg),
        pytest.raises(SystemExit, match="1 others use the database"),
    ):
        backup.read(database_urls, tmp_path / "file")


def test_what_is_no_backup_replaces_nothing(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("SELECT 1;")
    with pytest.raises(SystemExit, match="pg_restore failed"):
        backup.read(database_urls, tmp_path / "file")
    assert count(database_urls, POSTED) == 0


def count(urls: DatabaseUrls, query: str) -> int:
    with psycopg.connect(urls.psycopg) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
