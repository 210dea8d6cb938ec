"""Runs executed in the starting process, and clearing away those whose process was killed.

What belongs here: the advisory lock that such a run holds on its id, executing a job under it, and
marking as failed the runs whose lock is free. What does not: what jobs do. Runs that the daemon
launches are watched by Dagster's own run monitoring.
"""

import _thread
from collections.abc import Mapping
from typing import Any

import dagster as dg
import psycopg

from repayment_platform.warehouse.advisory import held
from repayment_platform.warehouse.urls import DatabaseUrls

IN_PROCESS = {"repayment/in_process": "true"}
WAIT_SECONDS = 10.0
_LOCK = "dagster run "
_LOCK_KEY = f"hashtextextended('{_LOCK}' || %s, 0)"
_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def execute_in_process(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    urls: DatabaseUrls,
    run_config: Mapping[str, Any],
) -> dg.DagsterRun:
    """Run a job here and now, recorded in the instance like any other; returns the ended run.

    Needs no daemon; waits for a place in the pools like a run that the daemon launched.
    """
    fail_dead_runs(instance, urls.psycopg)
    run_id = dg.DagsterRun(job_name=job.name).run_id
    with (
        held(urls.psycopg, _LOCK + run_id, f"run {run_id}", WAIT_SECONDS) as lock,
        # Others mark it failed and take its place, so it must not go on.
        lock.resting(_thread.interrupt_main),
    ):
        job.execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config=run_config,
            tags=IN_PROCESS,
            raise_on_error=False,
        )
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise LookupError(f"run {run_id} was executed and is not recorded")
    return run


def fail_dead_runs(instance: dg.DagsterInstance, conninfo: str) -> list[str]:
    """Mark in-process runs failed whose process is gone, and free their places in the pools.

    Returns their ids.
    """
    unfinished = instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED, tags=IN_PROCESS))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        dead = [run for run in unfinished if _lock_is_free(connection, run.run_id)]
    for run in dead:
        instance.report_run_failed(run, "The process that executed this run is gone.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _lock_is_free(connection: psycopg.Connection[Any], run_id: str) -> bool:
    row = connection.execute(f"SELECT pg_try_advisory_lock({_LOCK_KEY})", (run_id,)).fetchone()
    free = bool(row and row[0])
    if free:
        connection.execute(f"SELECT pg_advisory_unlock({_LOCK_KEY})", (run_id,))
    return free
