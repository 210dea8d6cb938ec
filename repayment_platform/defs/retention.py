"""What Dagster keeps: old runs, their logs and their observations go, nightly.

What belongs here: which of Dagster's own records are deleted. What does not: the records of
payments, which are kept for ever; old ticks, which Dagster deletes itself (`dagster.yaml`).
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.urls import DatabaseUrls

ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
RUN_KEY = "dagster/run_key"
KEPT_RUN_KEYS = "recon-"
"""Dagster knows by its runs which run keys it has had. A reconciliation's must never come again;
an inbox's names the hour it was asked for, and a schedule's tick is never older than its runs."""
BATCH = 200
_OBSERVATIONS = """
DELETE FROM dagster.event_logs
WHERE run_id = '' AND dagster_event_type = 'ASSET_OBSERVATION' AND timestamp < %s
"""


@dg.op(description="Deletes runs that ended more than RUN_RETENTION_DAYS ago.")
def delete_old_runs(
    context: dg.OpExecutionContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> None:
    before = datetime.now(UTC) - timedelta(days=load_settings().run_retention_days)
    deleted = delete_runs(context.instance, before)
    folders = delete_folders(Path(context.instance.storage_directory()), context.instance, before)
    with psycopg.connect(warehouse.psycopg, autocommit=True) as connection:
        observed = connection.execute(_OBSERVATIONS, (before.replace(tzinfo=None),)).rowcount
    context.log.info(f"deleted {deleted} runs, {folders} folders, {observed} observations")


@dg.job(description="Forget what Dagster need not remember any more.")
def retention() -> None:
    delete_old_runs()


forget_nightly = dg.ScheduleDefinition(
    name="forget_nightly",
    job=retention,
    cron_schedule="45 3 * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Deletes old runs while nobody looks at them.",
)


def delete_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the runs that ended before this moment and whose run key may be forgotten."""
    deleted = 0
    for run_id in list(_old_runs(instance, before)):
        instance.delete_run(run_id)
        deleted += 1
    return deleted


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[str]:
    cursor = None
    old = dg.RunsFilter(statuses=ENDED, updated_before=before)
    while page := instance.get_runs(old, cursor=cursor, limit=BATCH):
        cursor = page[-1].run_id
        for run in page:
            if not run.tags.get(RUN_KEY, "").startswith(KEPT_RUN_KEYS):
                yield run.run_id


def delete_folders(storage: Path, instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete the folders of logs, named by their run, whose run is gone. A folder that is not
    older than this moment may be of a run that has just begun."""
    deleted = 0
    for folder in storage.iterdir() if storage.is_dir() else ():
        old = folder.is_dir() and folder.stat().st_mtime < before.timestamp()
        if old and instance.get_run_by_id(folder.name) is None:
            shutil.rmtree(folder)
            deleted += 1
    return deleted
