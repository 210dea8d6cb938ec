"""When things run: jobs, the half-hourly schedule, and the sensors.

What belongs here: jobs, schedules and sensors. What does not: assets.
"""

import hashlib
import json
import os
from datetime import UTC, datetime

import dagster as dg
import psycopg

from repayment_platform.defs.landing import (
    WEBHOOK_SOURCES,
    landed_files,
    newest_raw_id,
    raw_key,
)
from repayment_platform.defs.posting import posted_repayments
from repayment_platform.defs.run_liveness import fail_dead_runs
from repayment_platform.defs.transformation import PIPELINE, dbt_models
from repayment_platform.landing.inbox import waiting_files
from repayment_platform.settings import load_settings
from repayment_platform.sources.registry import SOURCES
from repayment_platform.warehouse.urls import DatabaseUrls

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
# A run that is retried by Dagster would do what the next run does anyhow.
NO_RETRIES = {"dagster/max_retries": "0"}

repayment_pipeline = dg.define_asset_job(
    PIPELINE,
    selection=dg.AssetSelection.assets(dbt_models, posted_repayments),
    tags=NO_RETRIES,
    description="dbt, then post every due payment of the automated lenders.",
)
post_repayments = dg.define_asset_job(
    "post_repayments",
    selection=dg.AssetSelection.assets(posted_repayments),
    tags=NO_RETRIES,
    description="Post without running dbt first.",
)
land_inbox = dg.define_asset_job(
    "land_inbox",
    selection=dg.AssetSelection.assets(landed_files),
    tags=NO_RETRIES,
    description="Read the files waiting in the inboxes into RAW.",
)

every_half_hour = dg.ScheduleDefinition(
    name="every_half_hour",
    job=repayment_pipeline,
    cron_schedule="*/30 * * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The standard run: dbt, then posting.",
)


@dg.sensor(
    job=land_inbox,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts landing when files wait in an inbox.",
)
def inbox_sensor() -> dg.RunRequest | dg.SkipReason:
    waiting = waiting_files(load_settings().home)
    if not waiting:
        return dg.SkipReason("no files are waiting")
    # A run that dies leaves its files where they are: an hour later they are asked for again.
    names = sorted(f"{file.path}:{file.path.stat().st_mtime_ns}" for file in waiting)
    digest = hashlib.sha256(os.fsencode("\n".join(names))).hexdigest()
    return dg.RunRequest(
        run_key=f"{digest}:{datetime.now(UTC):%Y-%m-%dT%H}",
        asset_selection=[raw_key(SOURCES[id_]) for id_ in sorted({f.source_id for f in waiting})],
    )


@dg.sensor(
    job=repayment_pipeline,
    minimum_interval_seconds=5,
    default_status=(
        dg.DefaultSensorStatus.RUNNING
        if load_settings().fast_posting
        else dg.DefaultSensorStatus.STOPPED
    ),
    description="Runs the pipeline as soon as something has landed; off unless FAST_POSTING.",
)
def fast_posting(
    context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> dg.RunRequest | dg.SkipReason:
    under_way = dg.RunsFilter(job_name=repayment_pipeline.name, statuses=UNDER_WAY)
    if context.instance.get_runs(under_way, limit=1):
        return dg.SkipReason("a run is under way; what it misses is found after it")
    with psycopg.connect(warehouse.psycopg) as connection:
        landed = {s.table: newest_raw_id(connection, s) for s in SOURCES.values()}
        cuts: dict[str, int] = dict(
            connection.execute('SELECT raw_table, cut_id FROM "CORE"."CORE_RAW_CUT"')
        )
    if all(newest <= cuts.get(table, 0) for table, newest in landed.items()):
        return dg.SkipReason("nothing has landed since dbt read RAW")
    # RAW tables share one sequence of ids, so the greatest names what has landed.
    return dg.RunRequest(run_key=f"landed-{max(landed.values())}")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notes on the webhook tables' assets how far they have grown.",
)
def webhook_observations(
    context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> dg.SensorResult:
    seen: dict[str, int] = json.loads(context.cursor or "{}")
    events = []
    with psycopg.connect(warehouse.psycopg) as connection:
        for source in WEBHOOK_SOURCES:
            newest = newest_raw_id(connection, source)
            if newest > seen.get(source.table, 0):
                seen[source.table] = newest
                observed = {"newest_raw_id": newest}
                events.append(dg.AssetObservation(asset_key=raw_key(source), metadata=observed))
    return dg.SensorResult(asset_events=events, cursor=json.dumps(seen))


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process was killed, so that none blocks the next.",
)
def dead_runs(
    context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> dg.SkipReason:
    failed = fail_dead_runs(context.instance, warehouse.psycopg)
    return dg.SkipReason(f"marked as failed: {', '.join(failed) or 'none'}")
