"""Telling people of trouble: the sensor that looks for it every minute.

What belongs here: failed runs and checks, which Dagster records, and the sensor. What does not:
trouble that our database shows (`monitoring.findings`), telling (`monitoring.incidents`).
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import psycopg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from repayment_platform.defs.checks import OF_ALL_POSTINGS
from repayment_platform.defs.posting import ANSWERED, COMPLETE, STOPPED_EARLY
from repayment_platform.defs.reconciliation import REFUSED
from repayment_platform.defs.run_errors import errors_of
from repayment_platform.defs.transformation import PIPELINE
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

_FAILED = AssetCheckExecutionRecordStatus.FAILED
_DONE = {_FAILED, AssetCheckExecutionRecordStatus.SUCCEEDED}
_RUNS_LOOKED_AT = 48
"""A day of half-hourly runs, most of which may have had nothing to ask."""
_DONE_BY_TOO = {"post_repayments": PIPELINE}
"""By job, one that does all that it does and more."""
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
            *posting_stopped(context.instance, _checks(context)),
            *waiting_too_long(connection, timedelta(hours=settings.alert_backlog_hours)),
            *silent_lenders(connection),
            *ledger_differences(connection),
        ]
        told = keep(connection, found, channels(settings.alert_urls))
    for channel in told.failed:
        context.log.warning(f"the address {channel} of ALERT_URLS was not reached")
    return dg.SkipReason(f"{len(found)} incidents are open, {told.sent} messages were sent")


def failed_runs(instance: dg.DagsterInstance, jobs: list[str]) -> Iterator[Finding]:
    """Jobs whose last ended run failed; a run that goes on changes nothing, and a run of a job
    that does all that another does is good for both."""
    for job in jobs:
        last = dg.RunsFilter(job_name=job, statuses=ENDED)
        for record in instance.get_run_records(last, limit=1):
            run = record.dagster_run
            if run.status is not dg.DagsterRunStatus.FAILURE or _made_good(instance, record):
                continue
            errors = errors_of(instance, run.run_id) or ("it says nothing of why",)
            # Posting that stopped early is told by its check, whichever job it was of; what our
            # own checks have refused, to whoever launched it.
            others = [e for e in errors if STOPPED_EARLY not in e and f": {REFUSED}: " not in e]
            if others:
                yield Finding("run_failed", run.job_name, f"run {run.run_id}: {'; '.join(others)}")


def _made_good(instance: dg.DagsterInstance, failed: dg.RunRecord) -> bool:
    larger = _DONE_BY_TOO.get(failed.dagster_run.job_name)
    if larger is None:
        return False
    later = dg.RunsFilter(
        job_name=larger,
        statuses=[dg.DagsterRunStatus.SUCCESS],
        created_after=failed.create_timestamp,
    )
    return bool(instance.get_runs(later, limit=1))


def failed_checks(instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]) -> Iterator[Finding]:
    """Asset checks that failed when they were last done; of those of one name that look at the
    whole ledger, whichever was done last."""
    others = [key for key in keys if key.name != COMPLETE]
    done = sorted(_last_done(instance, others).items(), key=lambda each: _when(each[1]))
    newest = {key.name if key.name == OF_ALL_POSTINGS else key: (key, r) for key, r in done}
    for key, record in newest.values():
        if record.status is _FAILED:
            subject = f"{key.asset_key.to_user_string()}:{key.name}"
            yield Finding("check_failed", subject, f"run {record.run_id}")


def posting_stopped(
    instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]
) -> Iterator[Finding]:
    """Whether the last posting run stopped early, of those that say something of Fineract: any
    that it answered and that gets through shows that it answers again."""
    of_runs = [
        record
        for key in keys
        if key.name == COMPLETE
        for record in instance.event_log_storage.get_asset_check_execution_history(
            key, limit=_RUNS_LOOKED_AT, status=_DONE
        )
        if _stopped_early(record) or _is_answered(record)
    ]
    last = max(of_runs, key=_when, default=None)
    if last and _stopped_early(last):
        yield Finding("circuit_open", "Fineract", f"run {last.run_id}: {_words(last)}")


def _stopped_early(record: AssetCheckExecutionRecord) -> bool:
    return record.status is _FAILED and STOPPED_EARLY in _words(record)


def _is_answered(record: AssetCheckExecutionRecord) -> bool:
    """False too for a run that had nothing to ask."""
    evaluation = _evaluation(record)
    answered = evaluation.metadata.get(ANSWERED) if evaluation else None
    return answered is not None and bool(answered.value)


def _last_done(
    instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey]
) -> dict[dg.AssetCheckKey, AssetCheckExecutionRecord]:
    """By check, when it was last done; one that is being done, or was to be, is as before."""
    storage = instance.event_log_storage
    last = {}
    for key, record in storage.get_latest_asset_check_execution_by_key(keys).items():
        if record.status is AssetCheckExecutionRecordStatus.PLANNED:
            ended = storage.get_asset_check_execution_history(key, limit=1, status=_DONE)
            if not ended:
                continue
            record = ended[0]
        last[key] = record
    return last


def _when(record: AssetCheckExecutionRecord) -> float:
    return record.event.timestamp if record.event else 0.0


def _words(record: AssetCheckExecutionRecord) -> str:
    evaluation = _evaluation(record)
    return (evaluation.description if evaluation else None) or ""


def _evaluation(record: AssetCheckExecutionRecord) -> dg.AssetCheckEvaluation | None:
    event = record.event.dagster_event if record.event else None
    return event.asset_check_evaluation_data if event else None


def _jobs(context: dg.SensorEvaluationContext) -> list[str]:
    repository = context.repository_def
    return [job.name for job in repository.get_all_jobs()] if repository else []


def _checks(context: dg.SensorEvaluationContext) -> list[dg.AssetCheckKey]:
    repository = context.repository_def
    return sorted(repository.asset_graph.asset_check_keys) if repository else []
