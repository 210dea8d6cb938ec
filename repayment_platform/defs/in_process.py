"""Running the pipeline from a command line, as the same recorded job that the schedule starts.

What belongs here: choosing the job and its run config, and what came of it. What does not: the
lock that shows such a run alive (`run_liveness`), printing (`commands`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from repayment_platform.defs.run_liveness import execute_in_process
from repayment_platform.warehouse.urls import DatabaseUrls

_COLOURS = re.compile(r"\x1b\[\d+m")


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
        return EndedRun(run.run_id, run.is_success, _errors(instance, run.run_id))


def _errors(instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """One line for each failed step, the failure's own words where it has some."""
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        data = event.step_failure_data if event else None
        if event is None or data is None:
            continue
        said = data.user_failure_data.description if data.user_failure_data else None
        cause = data.error.cause or data.error if data.error else None
        text = said or (cause.message if cause else "failed")
        found.append(f"{event.step_key}: {_gist(text)}")
    return tuple(found)


def _gist(text: str) -> str:
    """The first line that says what went wrong; of a dbt failure, what dbt said."""
    _, found, of_dbt = _COLOURS.sub("", text).partition("Errors parsed from dbt logs:")
    lines = (of_dbt if found else text).strip().splitlines()
    return "; ".join(line.strip() for line in lines[: 3 if found else 1])
