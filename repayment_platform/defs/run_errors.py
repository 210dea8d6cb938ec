"""What a failed run says of why it failed, in a line for each step.

What belongs here: finding the words in Dagster's records. What does not: what is done with them.
"""

import re

import dagster as dg

_COLOURS = re.compile(r"\x1b\[\d+m")


def errors_of(instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """One line for each failed step, the failure's own words where it has some; of a run that no
    step has ended, what Dagster recorded of its end."""
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
    return tuple(found) or _of_the_run(instance, run_id)


def _of_the_run(instance: dg.DagsterInstance, run_id: str) -> tuple[str, ...]:
    """Such as that it took too long to start, or that the code server was not reached."""
    found = []
    kinds = {dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        failed = event.event_type is dg.DagsterEventType.RUN_FAILURE
        error = None if failed else event.engine_event_data.error
        if failed or error:
            words = event.message or "the run failed"
            found.append(f"{words} ({_gist(error.message)})" if error else words)
    return tuple(dict.fromkeys(found[-2:]))


def _gist(text: str) -> str:
    """The first line that says what went wrong; of a dbt failure, what dbt said."""
    _, found, of_dbt = _COLOURS.sub("", text).partition("Errors parsed from dbt logs:")
    lines = (of_dbt if found else text).strip().splitlines()
    return "; ".join(line.strip() for line in lines[: 3 if found else 1])
