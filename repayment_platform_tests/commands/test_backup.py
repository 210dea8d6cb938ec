"""A database from an hour ago: run again, nothing is posted twice and nothing is forgotten."""

import fcntl
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from repayment_platform.exceptions.decisions import NotOfItsKind, decide
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import open_holds, open_questions
from repayment_platform.landing.files import ingest_file
from repayment_platform.posting.proof import nothing_recorded_twice, nothing_unaccounted
from repayment_platform.posting.runner import run_posting
from repayment_platform.sample_data.generate import generate
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse import dump
from repayment_platform.warehouse.cluster import program
from repayment_platform.warehouse.dump import DumpError
from repayment_platform.warehouse.migrate import is_current, migrate
from repayment_platform.warehouse.rights import APPLICATION
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.whole_files import NotWritten
from repayment_platform_tests.command import Commands, commands_on
from repayment_platform_tests.conftest import Sandbox, settings_of
from repayment_platform_tests.databases import TODAY, copied_database
from repayment_platform_tests.dbt_once import play
from repayment_platform_tests.posting.conftest import AUTOMATED
from repayment_platform_tests.transformation.platform import Platform, loan
from repayment_platform_tests.transformation.test_given_back import REVERSED
from repayment_platform_tests.transformation.warehouse import Warehouse

AUDITED = 'SELECT count(*) FROM "CORE"."CORE_AUDIT_LOG"'
LANDED = 'SELECT count(*) FROM "RAW"."RAW_DMI_NACH_CSV"'
ROW = """
INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, outcome, landed_at)
VALUES (1, 2, '{}', 'success', '2025-11-20 06:00+00')
"""
NO_ROOM = """
import os, sys
from pathlib import Path
from repayment_platform.warehouse import dump
from repayment_platform.warehouse.urls import DatabaseUrls
try:
    dump.write(DatabaseUrls.parse(os.environ["URL"]), Path(os.environ["FILE"]))
except dump.DumpError as error:
    sys.exit(str(error))
"""
NOTES = """
INSERT INTO "CORE"."CORE_AUDIT_LOG" (who, action, subject)
SELECT 'asha', 'a', md5(i::text) FROM generate_series(1, 2000) AS i
"""
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
    dump.write(urls, tmp_path / "an-hour-ago")
    before = count(urls, POSTED)
    land(urls, sample, slice(1, None))
    run_posting(settings, urls.psycopg, AUTOMATED, "after")
    ledger = sandbox.get("ledger")
    assert 0 < before < len(ledger)

    dump.replace(urls, tmp_path / "an-hour-ago")
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
    dump.write(database_urls, tmp_path / "file")
    with (
        psycopg.connect(database_urls.psycopg, application_name="webhooks"),
        pytest.raises(DumpError, match="in use by webhooks: stop the platform first"),
    ):
        dump.replace(database_urls, tmp_path / "file")


def test_a_database_with_tables_of_others_is_not_replaced(
    own: DatabaseUrls, tmp_path: Path
) -> None:
    dump.write(own, tmp_path / "file")
    execute(
        own,
        "CREATE TABLE public.theirs ()",
        "CREATE SCHEMA more",
        "CREATE VIEW more.v AS TABLE public.theirs",
    )
    with pytest.raises(DumpError, match=r"not the platform's, more\.v, theirs: give the"):
        dump.replace(own, tmp_path / "file")


def test_who_does_not_own_the_tables_is_told_whose_address_to_set(
    own: DatabaseUrls, tmp_path: Path
) -> None:
    dump.write(own, tmp_path / "file")
    execute(own, f"GRANT USAGE ON SCHEMA public TO {APPLICATION}")
    application = replace(own.as_role(APPLICATION), owner=None)
    with pytest.raises(DumpError, match="set MIGRATION_DATABASE_URL"):
        dump.write(application, tmp_path / "other")
    with pytest.raises(DumpError, match="set MIGRATION_DATABASE_URL"):
        dump.replace(application, tmp_path / "file")


def test_what_is_no_backup_of_a_platform_replaces_nothing(
    empty_database: DatabaseUrls, own: DatabaseUrls, tmp_path: Path
) -> None:
    run, file = commands_on(own), tmp_path / "file"
    file.write_text("SELECT 1;")
    done = run("restore", str(file), "--replace")
    assert (done.code, done.stdout) == (1, "")
    assert "does not appear to be a valid archive" in done.stderr
    dump.write(empty_database, file)
    assert "a dump of another database" in run("restore", str(file), "--replace").stderr
    assert run("restore", str(tmp_path / "none"), "--replace").code == 2
    assert count(own, POSTED) == 0


def test_a_backup_that_ends_early_or_is_damaged_replaces_nothing(
    own: DatabaseUrls, tmp_path: Path
) -> None:
    run, file = commands_on(own), tmp_path / "file"
    execute(own, NOTES)
    dump.write(own, file)
    whole = file.read_bytes()
    execute(own, NOTES)
    for bytes_ in (whole[:-3000], whole[:-3000] + bytes(3000)):
        file.write_bytes(bytes_)
        done = run("restore", str(file), "--replace")
        assert done.code == 1
        assert "pg_restore: error" in done.stderr
        assert "the database is as it was" in done.stderr
        assert count(own, AUDITED) == 4000
    file.write_bytes(whole)
    assert run("restore", str(file), "--replace").code == 0
    assert count(own, AUDITED) == 2000


def test_a_database_that_refuses_is_as_it_was(empty_database: DatabaseUrls, tmp_path: Path) -> None:
    migrate(empty_database)
    execute(empty_database, NOTES)
    dump.write(empty_database, tmp_path / "file")
    name = empty_database.dbname
    execute(empty_database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(DumpError, match=r"read-only transaction.*; the database is as it was"):
        dump.replace(empty_database, tmp_path / "file")
    assert count(empty_database, AUDITED) == 2000


def test_a_server_before_17_is_not_told_of_a_setting_that_it_lacks(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    dump.write(database_urls, file)
    restoring = (program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file))
    script = subprocess.run(restoring, capture_output=True, check=True).stdout
    for before_17 in (False, True):
        told = io.BytesIO()
        dump._copy(io.BytesIO(script), told, before_17, lambda _done: None)
        assert (b"transaction_timeout" in told.getvalue()) is not before_17
        assert len(told.getvalue()) == len(script) - before_17 * len(dump._SINCE_17)


def test_only_an_unused_warehouse_is_replaced_without_saying_so(
    own: DatabaseUrls, empty_database: DatabaseUrls, tmp_path: Path
) -> None:
    """And what was restored can be backed up and restored like any other."""
    execute(own, ROW)
    first, second = tmp_path / "first", tmp_path / "second"
    done = commands_on(own)("backup", str(first))
    assert re.fullmatch(rf"{first}: \d+\.\d MiB\n", done.stdout)
    refused = commands_on(own)("restore", str(first))
    assert (refused.code, refused.stdout) == (1, "")
    assert "--replace if it may be lost" in refused.stderr

    run = commands_on(empty_database)
    for file in (first, second):
        done = run("restore", str(file), *(() if file == first else ("--replace",)))
        assert done.code == 0, done.stderr
        assert re.search(r"restored [\d,]+ rows: BASE 0, CORE [\d,]+, RAW 1, dagster 0", done.words)
        assert "What landed last, landed 2025-11-20" in done.words
        assert count(empty_database, LANDED) == 1
        assert is_current(replace(empty_database.as_role(APPLICATION), owner=None))
        assert run("backup", str(second)).code == 0


def test_a_backup_is_for_its_owner_only_and_replaces_the_one_before(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("yesterday's")
    file.chmod(0o644)
    dump.write(database_urls, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert dump.check(file)
    assert list(tmp_path.iterdir()) == [file]


def test_a_backup_that_finds_no_room_leaves_the_one_before(
    database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("yesterday's")
    done = subprocess.run(
        ("sh", "-c", 'ulimit -f 64; exec "$@"', "-", sys.executable, "-B", "-c", NO_ROOM),
        env=os.environ | {"FILE": str(file), "URL": database_urls.psycopg},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "pg_dump ended with -25\n")  # SIGXFSZ
    assert file.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [file]


def test_a_backup_where_it_cannot_be_written_says_so(run: Commands, tmp_path: Path) -> None:
    done = run("backup", str(tmp_path / "none" / "file"))
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.endswith("file cannot be written: No such file or directory\n")


def test_two_backups_do_not_write_one_file(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    with part.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(NotWritten, match="just being written by another command"):
            dump.write(database_urls, tmp_path / "file")
        assert part.exists()
    dump.write(database_urls, tmp_path / "file")  # what a killed one has left is no hindrance
    assert not part.exists()


def test_the_files_of_a_home_come_back_as_they_lay(run: Commands, tmp_path: Path) -> None:
    home, archive, elsewhere = tmp_path / "home", tmp_path / "a.tar.gz", tmp_path / "elsewhere"
    lay = {"inbox/RAW_DMI_NACH_CSV/new.csv": "1", "inbox/RAW_DMI_NACH_CSV/.landed/old.csv": "2"}
    lay |= {"dagster/storage/run/compute_logs/step.err": "3", "logs/daemon.log": "4"}
    for name, text in lay.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        os.utime(home / name, (1, 1_700_000_000))
    done = run("backup", str(tmp_path / "dump"), "--files", str(archive), REPAYMENT_HOME=str(home))
    assert "a.tar.gz: 3 files" in done.stdout
    assert archive.stat().st_mode & 0o777 == 0o600
    elsewhere.mkdir()
    subprocess.run(("tar", "-C", elsewhere, "-xzf", archive), check=True)
    del lay["logs/daemon.log"]
    found = {str(p.relative_to(elsewhere)): p for p in elsewhere.rglob("*") if p.is_file()}
    assert {name: path.read_text() for name, path in found.items()} == lay
    assert {path.stat().st_mtime for path in found.values()} == {1_700_000_000}
    assert {p.name for p in tmp_path.iterdir()} == {"home", "a.tar.gz", "elsewhere", "dump"}


def count(urls: DatabaseUrls, query: str) -> int:
    with psycopg.connect(urls.psycopg) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def execute(urls: DatabaseUrls, *statements: str) -> None:
    with psycopg.connect(urls.psycopg) as connection:
        for statement in statements:
            connection.execute(statement.encode())
