"""Running jobs from a command line, recorded like those that schedules and sensors start.

What belongs here: choosing the job and its run config, and what came of it. What does not: the
lock that shows such a run alive (`run_liveness`), printing (`commands`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from repayment_platform.defs.run_errors import errors_of
from repayment_platform.defs.run_liveness import execute_in_process
from repayment_platform.defs.transformation import PIPELINE
from repayment_platform.warehouse.urls import DatabaseUrls


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended, with the errors that it ended with."""

    run_id: str
    succeeded: bool
    errors: tuple[str, ...]


def run_pipeline(
    urls: DatabaseUrls,
    *,
    skip_dbt: bool = False,
    lenders: Sequence[str] = (),
    limit: int | None = None,
) -> EndedRun:
    """Execute `repayment_pipeline`, or `post_repayments` without dbt, in this process."""
    config: dict[str, Any] = {"lenders": list(lenders)} | ({"limit": limit} if limit else {})
    job = "post_repayments" if skip_dbt else PIPELINE
    return _execute(urls, job, "posted_repayments", config)


def run_reconcile(urls: DatabaseUrls, config: Mapping[str, Any]) -> EndedRun:
    """Execute `reconcile_repayments` in this process, with the launchpad's run config."""
    return _execute(urls, "reconcile_repayments", "reconciled_repayments", config)


def _execute(urls: DatabaseUrls, job_name: str, asset: str, config: Mapping[str, Any]) -> EndedRun:
    from repayment_platform.definitions import defs

    run_config = {
        "ops": {asset: {"config": dict(config)}},
        "loggers": {"console": {"config": {"log_level": "INFO"}}},
    }
    job = defs().resolve_job_def(job_name)
    with dg.DagsterInstance.get() as instance:
        run = execute_in_process(job, instance, urls, run_config)
        return EndedRun(run.run_id, run.is_success, errors_of(instance, run.run_id))
