"""Which of Dagster's records the nightly job forgets."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._core.test_utils import instance_for_test

from repayment_platform.defs.retention import delete_folders, delete_runs, retention
from repayment_platform.warehouse.urls import DatabaseUrls


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def a_job() -> None:
    nothing()


def run(instance: dg.DagsterInstance, **tags: str) -> str:
    return a_job.execute_in_process(instance=instance, tags=tags).run_id


def test_runs_that_ended_long_ago_go_and_the_others_stay() -> None:
    with instance_for_test() as instance:
        old = run(instance)
        moment = datetime.now(UTC)
        time.sleep(0.01)
        new = run(instance)
        going_on = instance.create_run_for_job(a_job).run_id

        assert delete_runs(instance, moment) == 1

        assert {r.run_id for r in instance.get_runs()} == {new, going_on}
        assert instance.all_logs(old) == []


def test_more_runs_than_a_page_all_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repayment_platform.defs.retention.BATCH", 2)
    with instance_for_test() as instance:
        for _ in range(5):
            run(instance)
        assert delete_runs(instance, datetime.now(UTC) + timedelta(hours=1)) == 5


def test_a_reconciliations_run_key_is_never_forgotten() -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    with instance_for_test() as instance:
        kept = run(instance, **{"dagster/run_key": "recon-7-1"})
        run(instance, **{"dagster/run_key": "0a1b:2026-11-22T10"})
        assert delete_runs(instance, later) == 1
        assert [r.run_id for r in instance.get_runs()] == [kept]


def test_only_old_folders_of_runs_that_are_gone_go(tmp_path: Path) -> None:
    with instance_for_test() as instance:
        known = run(instance)
        long_ago = time.time() - 3600
        for name in (known, "gone", "young"):
            (tmp_path / name / "compute_logs").mkdir(parents=True)
            if name != "young":
                os.utime(tmp_path / name, (long_ago, long_ago))
        assert delete_folders(tmp_path, instance, datetime.now(UTC) - timedelta(minutes=5)) == 1
        assert {folder.name for folder in tmp_path.iterdir()} == {known, "young"}


def test_the_job_runs_on_the_platforms_own_storage(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's tables in PostgreSQL, as the platform has them."""
    from repayment_platform.definitions import defs

    url = database_urls.dagster
    overrides = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
    monkeypatch.setenv("DATABASE_URL", database_urls.psycopg)
    monkeypatch.setenv("FINERACT_BASE_URL", "sandbox")
    with instance_for_test(overrides=overrides, temp_dir=str(tmp_path)) as instance:
        for age in (0, 31):
            with psycopg.connect(database_urls.psycopg) as connection:
                connection.execute(
                    "INSERT INTO dagster.event_logs (run_id, event, dagster_event_type, timestamp) "
                    "VALUES ('', '{}', 'ASSET_OBSERVATION', localtimestamp - %s * '1 d'::interval)",
                    (age,),
                )
        job = defs().resolve_job_def(retention.name)
        assert job.execute_in_process(instance=instance).success
        with psycopg.connect(database_urls.psycopg) as connection:
            (left,) = connection.execute(
                "SELECT count(*) FROM dagster.event_logs WHERE run_id = ''"
            ).fetchone() or (None,)
        assert left == 1
