"""Telling people of trouble: the sensor that looks for it every minute.

What belongs here: failed runs and checks, which Dagster records, and the sensor. What does not:
trouble that our database shows (`monitoring.findings`), telling (`monitoring.incidents`).
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import psycopg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from repayment_platform.defs.posting import STOPPED_EARLY
from repayment_platform.defs.run_errors import errors_of
from repayment_platform.monitoring.channels import channels
from repayment_platform.monitoring.findings import (
    Finding,
    ledger_differences,
    note_arrivals,
    silent_lenders,
    waiting_too_long,
)
from repayment_platform.monitoring.incidents import keep
from repayment_platform.settings import load_settings
from repayment_platform.warehouse.urls import DatabaseUrls

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens and resolves incidents, and tells the addresses of ALERT_URLS.",
)
def incidents(
    context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> dg.SkipReason:
    settings = load_settings()
    with psycopg.connect(warehouse.psycopg, autocommit=True) as connection:
        note_arrivals(connection)
        found = [
            *failed_runs(context.instance, _jobs(context)),
            *failed_checks(context.instance, _checks(context)),
            *waiting_too_long(connection, timedelta(hours=settings.alert_backlog_hours)),
            *silent_lenders(connection),
            *ledger_differences(connection),
        ]
        told = keep(connection, found, channels(settings.alert_urls))
    for channel in told.failed:
        context.log.warning(f"the address {channel} of ALERT_URLS was not reached")
    return dg.SkipReason(f"{len(found)} incidents are open, {told.sent} messages were sent")


def failed_runs(instance: dg.DagsterInstance, jobs: list[str]) -> Iterator[Finding]:
    """Jobs whose last ended run failed; a run that goes on changes nothing."""
    for job in jobs:
        last = dg.RunsFilter(job_name=job, statuses=ENDED)
        for run in instance.get_runs(last, limit=1):
            if run.status is not dg.DagsterRunStatus.FAILURE:
                continue
            errors = "; ".join(errors_of(instance, run.run_id)) or "it says nothing of why"
            kind = "circuit_open" if STOPPED_EARLY in errors else "run_failed"
            yield Finding(kind, run.job_name, f"run {run.run_id}: {errors}")


def failed_checks(instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]) -> Iterator[Finding]:
    """Asset checks that failed when they were last done; one that is being done is as before."""
    storage = instance.event_log_storage
    failed, planned = (
        AssetCheckExecutionRecordStatus.FAILED,
        AssetCheckExecutionRecordStatus.PLANNED,
    )
    for key, record in storage.get_latest_asset_check_execution_by_key(keys).items():
        if record.status is planned:
            done = {failed, AssetCheckExecutionRecordStatus.SUCCEEDED}
            ended = storage.get_asset_check_execution_history(key, limit=1, status=done)
            if not ended:
                continue
            record = ended[0]
        if record.status is failed:
            subject = f"{key.asset_key.to_user_string()}:{key.name}"
            yield Finding("check_failed", subject, f"run {record.run_id}")


def _jobs(context: dg.SensorEvaluationContext) -> list[str]:
    repository = context.repository_def
    return [job.name for job in repository.get_all_jobs()] if repository else []


def _checks(context: dg.SensorEvaluationContext) -> list[dg.AssetCheckKey]:
    repository = context.repository_def
    return sorted(repository.asset_graph.asset_check_keys) if repository else []
