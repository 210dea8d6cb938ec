"""The inbox: finished files are taken once and never overwritten."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.file_locks import LockNotHad, alone
from repayment_platform.landing import inbox
from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.inbox import inbox_of, land_inbox, waiting_files
from repayment_platform.landing.results import FileResult
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.sources.reading import NACH, row, text_of

Connection = psycopg.Connection[Any]
GOOD = text_of(row())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def drop(home: Path, name: str, text: str = GOOD, *, source: str = NACH, age: float = 60) -> Path:
    folder = inbox_of(home) / source
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, newline="")
    written = time.time() - age
    os.utime(path, (written, written))
    return path


def take(urls: DatabaseUrls, home: Path, **options: Any) -> list[FileResult]:
    taken = land_inbox(urls.psycopg, home, received_by="inbox", **options).values()
    assert not [failure for of_source in taken for failure in of_source.failures]
    return [result for of_source in taken for result in of_source.results]


def names(home: Path, folder: str, source: str = NACH) -> list[str]:
    path = inbox_of(home) / source / folder
    return sorted(each.name for each in path.iterdir()) if path.exists() else []


def test_every_source_that_sends_files_has_a_folder(home: Path) -> None:
    folders = {path.name for path in inbox_of(home).iterdir()}
    assert len(folders) >= 10
    assert "RAW_UGRO_PAYMENT_RAZORPAY" in folders
    assert "RAW_UGRO_RAZORPAY_API" not in folders


def test_a_finished_file_lands_and_moves(
    database_urls: DatabaseUrls, connection: Connection, home: Path
) -> None:
    drop(home, "a.csv")
    (result,) = take(database_urls, home)
    assert (result.status, result.rows_landed) == ("landed", 1)
    assert names(home, ".landed") == ["a.csv"]
    assert take(database_urls, home) == []
    entry = connection.execute('SELECT received_by FROM "CORE"."CORE_FILE_LOG"').fetchone()
    assert entry == ("inbox",)


def test_files_that_are_not_finished_are_left_alone(home: Path) -> None:
    for name in (".hidden.csv", "a.csv.part", "b.tmp", "c.filepart", "d.CRDOWNLOAD", "e.csv~"):
        drop(home, name)
    drop(home, "fresh.csv", age=1)
    (inbox_of(home) / NACH / "folder").mkdir()
    assert waiting_files(home) == []
    drop(home, "done.csv")
    assert [waiting.path.name for waiting in waiting_files(home)] == ["done.csv"]


def test_the_oldest_file_comes_first_whatever_its_source(home: Path) -> None:
    other = "RAW_ARTHMATE_NACH_CSV"
    for name, age, source in (("b.csv", 50.0, NACH), ("c.csv", 90.0, NACH), ("a.csv", 70.0, other)):
        drop(home, name, age=age, source=source)
    assert [waiting.path.name for waiting in waiting_files(home)] == ["c.csv", "a.csv", "b.csv"]


def test_a_file_that_cannot_be_taken_moves_to_failed_and_the_next_one_lands(
    database_urls: DatabaseUrls, home: Path
) -> None:
    drop(home, "bad.csv", "nothing\n", age=90)
    drop(home, "good.csv")
    assert [result.status for result in take(database_urls, home)] == ["failed", "landed"]
    assert (names(home, ".failed"), names(home, ".landed")) == (["bad.csv"], ["good.csv"])


def test_a_folder_that_is_no_source_is_told_of(database_urls: DatabaseUrls, home: Path) -> None:
    drop(home, "a.csv", source="RAW_NOBODY_CSV")
    (result,) = take(database_urls, home)
    assert result.reason_code == "UNKNOWN_SOURCE"
    assert names(home, ".failed", "RAW_NOBODY_CSV") == ["a.csv"]


def test_a_duplicate_never_overwrites_what_had_its_name(
    database_urls: DatabaseUrls, home: Path
) -> None:
    drop(home, "a.csv")
    take(database_urls, home)
    drop(home, "a.csv")
    (again,) = take(database_urls, home)
    assert again.status == "duplicate"
    assert names(home, ".landed") == [f"a.{again.file_id}.csv", "a.csv"]
    drop(home, "a.csv", text_of(row(Amount="7")))
    (other,) = take(database_urls, home)
    assert other.status == "landed"
    assert len(names(home, ".landed")) == 3


def test_a_file_that_had_landed_before_the_process_died_lands_no_second_time(
    database_urls: DatabaseUrls, connection: Connection, home: Path
) -> None:
    path = drop(home, "a.csv")
    ingest_file(database_urls.psycopg, path, NACH, received_by="inbox")
    (result,) = take(database_urls, home)
    assert result.status == "duplicate"
    assert names(home, ".landed") == ["a.csv"]
    assert connection.execute(f'SELECT count(*) FROM "RAW"."{NACH}"').fetchone() == (1,)


def test_only_the_sources_asked_for_are_taken(database_urls: DatabaseUrls, home: Path) -> None:
    drop(home, "a.csv")
    drop(home, "b.csv", source="RAW_IKF_NACH_CSV")
    results = take(database_urls, home, sources={"RAW_IKF_NACH_CSV"})
    assert [result.raw_table for result in results] == ["RAW_IKF_NACH_CSV"]
    assert [waiting.path.name for waiting in waiting_files(home)] == ["a.csv"]


def test_a_file_that_changed_while_it_was_read_stays_for_the_next_time(
    database_urls: DatabaseUrls, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(home, "a.csv")

    def grow(done: int, total: int) -> None:
        path.write_text(GOOD + ",".join(row()) + "\n")

    def growing(*arguments: Any, **options: Any) -> FileResult:
        return ingest_file(*arguments, **options, progress=grow)

    monkeypatch.setattr(inbox, "ingest_file", growing)
    (result,) = take(database_urls, home)
    assert result.reason_code == "FILE_CHANGED"
    assert path.exists()


def test_a_file_that_fails_as_none_should_keeps_no_other_from_landing_and_is_told_of(
    database_urls: DatabaseUrls, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(home, "bad.csv", age=90)
    drop(home, "good.csv")

    def failing(conninfo: str, path: Path, *arguments: Any, **options: Any) -> FileResult:
        if path.name == "bad.csv":
            raise ZeroDivisionError
        return ingest_file(conninfo, path, *arguments, **options)

    monkeypatch.setattr(inbox, "ingest_file", failing)
    taken = land_inbox(database_urls.psycopg, home, received_by="inbox")[NACH]
    [failure] = taken.failures
    assert isinstance(failure, ZeroDivisionError)
    assert [result.name for result in taken.results] == ["good.csv"]
    assert "bad.csv" in failure.__notes__[0]
    assert names(home, ".landed") == ["good.csv"]
    assert [waiting.path.name for waiting in waiting_files(home)] == ["bad.csv"]


def test_a_database_that_is_away_leaves_the_files_where_they_are(home: Path) -> None:
    path = drop(home, "a.csv")
    [failure] = land_inbox("host=/nowhere", home, received_by="inbox")[NACH].failures
    assert isinstance(failure, psycopg.OperationalError)
    assert path.exists()


def test_who_waits_too_long_for_another_that_lands_is_told_which(
    database_urls: DatabaseUrls, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LOCK_SECONDS", 0.1)
    drop(home, "a.csv")
    with (
        alone(inbox_of(home) / ".lock", "land the inbox"),
        pytest.raises(LockNotHad, match=rf"held by process {os.getpid()}, to land the inbox"),
    ):
        land_inbox(database_urls.psycopg, home, received_by="inbox")
    assert len(take(database_urls, home)) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no names that are not UTF-8")
def test_a_file_whose_name_is_not_utf_8_lands_and_keeps_none_behind_it(
    database_urls: DatabaseUrls, home: Path
) -> None:
    drop(home, os.fsdecode(b"M\xe4rz.csv"), age=90)
    drop(home, "april.csv", text_of(row(Amount="77.00")))

    landed = take(database_urls, home)

    assert [(result.name, result.status) for result in landed] == [
        ("M\\xe4rz.csv", "landed"),
        ("april.csv", "landed"),
    ]
