"""Starting the runs of approved requests, and noticing runs that died.

What belongs here: the sensor. What does not: the job (`reconciliation`), the states of a request.
"""

from collections.abc import Iterator

import dagster as dg
import psycopg

from repayment_platform.defs.launched_by import LAUNCHED_BY
from repayment_platform.defs.reconciliation import reconcile_repayments, reconciled_repayments
from repayment_platform.reconciliation import running
from repayment_platform.warehouse.urls import DatabaseUrls

RUN_KEY = "dagster/run_key"
"""The tag under which Dagster keeps a sensor's run_key."""


@dg.sensor(
    job=reconcile_repayments,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for each attempt of an approved reconciliation request.",
)
def recon_requests(
    context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> Iterator[dg.RunRequest]:
    with psycopg.connect(warehouse.psycopg, autocommit=True) as connection:
        for request in running.started(connection):
            ended = _ended_run(context.instance, request)
            if ended:
                running.abandon(connection, request, ended)
            elif request.state == "approved":
                # Dagster starts one run for a run_key, however often it is asked for.
                yield dg.RunRequest(
                    run_key=request.run_key,
                    run_config={"ops": _config(request)},
                    tags={"repayment/recon_request": str(request.id), LAUNCHED_BY: request.who},
                )


def _config(request: running.Started) -> dict[str, dict[str, object]]:
    config = {"request": request.id, "dry_run": False}
    return {reconciled_repayments.op.name: {"config": config}}


def _ended_run(instance: dg.DagsterInstance, request: running.Started) -> str | None:
    """How the request's run ended without ending the request; None while it may still do so."""
    if request.state == "running" and request.run_id:
        run = instance.get_run_by_id(request.run_id)
        if run is None:
            return f"run {request.run_id} is not known to Dagster"
        return f"run {run.run_id} ended as {run.status.value}" if run.is_finished else None
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY: request.run_key}))
    if runs and all(run.is_finished for run in runs):
        return f"run {runs[0].run_id} ended as {runs[0].status.value} before it began"
    return None
