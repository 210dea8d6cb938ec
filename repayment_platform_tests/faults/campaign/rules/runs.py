"""Runs: who may write what, what an end leaves behind, and how runs end."""

from collections.abc import Iterator

from repayment_platform_tests.faults.campaign.history import History, Run
from repayment_platform_tests.faults.campaign.worker import DONE, NO_DATABASE, STOPPED

NOTICED = 0.5
"""Seconds after which the campaign has noticed that a process has ended."""
KILLED, TERMINATED = -9, -15
JITTER = 0.3
"""Seconds by which a run may begin to count before the campaign does."""
SET_UP = {"unauthorized", "not_authorized", "maker_checker"}
"""Faults that no other payment would be spared."""


def only_its_owner_writes_a_result(history: History) -> Iterator[str]:
    """The fence: no other run's, and none after the attempt is settled."""
    for attempt_id, writes in history.results.items():
        for write in writes:
            owner = write.old["run_id"] if write.old else ""
            if write.writer != owner:
                yield f"{write.writer} wrote a result of intent {attempt_id}, which is {owner}'s"
            if write.old and write.old["settled_at"]:
                yield f"{write.writer} changed intent {attempt_id}, which was settled"


def only_lost_runs_are_taken_over(history: History) -> Iterator[str]:
    for write in history.take_overs:
        former, taker = (write.old or {})["run_id"], (write.new or {})["run_id"]
        if write.writer != taker:
            yield f"{write.writer} made an intent of {former} that of {taker}"
        run = history.runs[former]
        lost = min(run.lost_lock_at or run.ended, run.ended)
        if write.at < lost - NOTICED:
            yield f"{taker} took over intents of {former}, which was alive"
        if (write.old or {})["settled_at"]:
            yield f"{taker} took over an intent of {former} that was settled"


def an_end_leaves_no_more_in_doubt_than_workers(history: History) -> Iterator[str]:
    for run in history.runs.values():
        in_doubt = history.in_doubt_after(run)
        if len(in_doubt) > run.order.workers:
            yield f"{run.run_id} left {len(in_doubt)} in doubt with {run.order.workers} workers"
        ended_well = run.code in (DONE, STOPPED) and run.lost_lock_at is None
        if ended_well and in_doubt:
            yield f"{run.run_id} ended by itself and left {[a.key for a in in_doubt]} in doubt"


def runs_end_as_they_should(history: History) -> Iterator[str]:
    for run in history.runs.values():
        if not _end_is_lawful(run):
            yield f"{run.run_id} ended with code {run.code}: …{run.output[-1500:]}"


def a_run_outlives_a_fineract_that_comes_back(history: History) -> Iterator[str]:
    """It ends early only for a fault of the set-up, or an outage that outlasts its patience."""
    for run in history.runs.values():
        if run.code == STOPPED and not run.was_asked_to_stop and not _may_end_early(history, run):
            yield f"{run.run_id} ended early: {run.output[-500:]}"
        for what in run.left if run.code == DONE else ():
            yield f"{run.run_id} left {what}"


def _may_end_early(history: History, run: Run) -> bool:
    if "not answered" in run.output:
        return any(
            (outage.back or run.ended) - max(outage.died, run.started) > run.order.patience - JITTER
            for outage in history.outages
        )
    return any(
        run.started <= request.started <= run.ended and not SET_UP.isdisjoint(request.faults)
        for request in history.requests
    )


def _end_is_lawful(run: Run) -> bool:
    is_calm = run.run_id.startswith("run-calm")
    match run.code:
        case None:
            return False
        case code if code == DONE:
            return True
        case code if code == STOPPED:
            if is_calm:  # a busy machine may keep it from connecting; another calm run follows
                return "ConnectionTimeoutError" in run.output
            return run.was_asked_to_stop or "on request" not in run.output
        case code if code == NO_DATABASE:  # it lost its lock, or was frozen while it fed the list
            return run.lost_lock_at is not None or "idle-in-transaction" in run.output
        case code if code == KILLED:
            return not is_calm
        case code:
            return code == TERMINATED and run.was_asked_to_stop
