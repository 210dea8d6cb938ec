"""The asset that lands the inboxes, and the sensor that starts it."""

import os
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from repayment_platform.defs.automation import inbox_sensor
from repayment_platform.defs.landing import landed_files
from repayment_platform.landing import inbox
from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.results import FileResult
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.sources.reading import row, text_of

FIRST, LATER = "RAW_DMI_NACH_CSV", "RAW_IKF_NACH_CSV"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPAYMENT_HOME", str(tmp_path))
    return tmp_path


def drop(home: Path, source: str, name: str = "a.csv") -> None:
    path = inbox.inbox_of(home) / source / name
    path.write_text(text_of(row()), newline="")
    written = time.time() - 60
    os.utime(path, (written, written))


def test_a_source_whose_file_fails_keeps_no_later_one_from_landing_and_the_run_shows_it(
    database_urls: DatabaseUrls, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(conninfo: str, path: Path, source: str, **options: str) -> FileResult:
        if source == FIRST:
            raise ZeroDivisionError
        return ingest_file(conninfo, path, source, **options)

    monkeypatch.setattr(inbox, "ingest_file", failing)
    drop(home, FIRST)
    drop(home, LATER)
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize(
            [landed_files],
            resources={"warehouse": database_urls},
            instance=instance,
            raise_on_error=False,
        )
    assert not run.success
    landed = {event.asset_key.path[-1] for event in run.get_asset_materialization_events()}  # type: ignore[union-attr]
    assert LATER in landed
    assert FIRST not in landed


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no names that are not UTF-8")
def test_a_name_that_is_no_utf8_stops_no_sensor(home: Path) -> None:
    drop(home, FIRST, os.fsdecode(b"caf\xe9.csv"))
    assert isinstance(inbox_sensor(), dg.RunRequest)
