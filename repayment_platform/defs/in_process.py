"""Running the pipeline from a command line, as the same recorded job that the schedule starts.

What belongs here: choosing the job and its run config, and what came of it. What does not: the
lock that shows such a run alive (`run_liveness`), printing (`commands`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from repayment_platform.defs.run_errors import errors_of
from repayment_platform.defs.run_liveness import execute_in_process
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
    from repayment_platform.definitions import defs

    config: dict[str, Any] = {"lenders": list(lenders)} | ({"limit": limit} if limit else {})
    run_config = {
        "ops": {"posted_repayments": {"config": config}},
        "loggers": {"console": {"config": {"log_level": "INFO"}}},
    }
    job = defs().resolve_job_def("post_repayments" if skip_dbt else "repayment_pipeline")
    with dg.DagsterInstance.get() as instance:
        run = execute_in_process(job, instance, urls, run_config)
        return EndedRun(run.run_id, run.is_success, errors_of(instance, run.run_id))
