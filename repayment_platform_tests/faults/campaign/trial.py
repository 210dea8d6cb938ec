"""One seed from plan to verdict, and several seeds side by side.

What belongs here: the course of a trial, and the processes that trials are shared out to. What
does not: showing verdicts (`__main__`, `timeline`, `matrix`).
"""

import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from repayment_platform_tests.faults.campaign.draw import plan_of
from repayment_platform_tests.faults.campaign.evidence import gather
from repayment_platform_tests.faults.campaign.matrix import Tally, tally_of
from repayment_platform_tests.faults.campaign.place import Place, place
from repayment_platform_tests.faults.campaign.play import Play
from repayment_platform_tests.faults.campaign.rules import violations
from repayment_platform_tests.faults.campaign.timeline import timeline


@dataclass(frozen=True)
class Verdict:
    """What came of one seed."""

    seed: int
    violations: list[str]
    tally: Tally = field(default_factory=Counter)
    payments: int = 0
    seconds: float = 0.0
    story: str = ""
    """The plan and the timeline."""


def trial(place: Place, seed: int) -> Verdict:
    """Play the plan of a seed and judge what happened."""
    begin = time.monotonic()
    plan = plan_of(seed)
    home = Path(tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=place.home))
    with place.database(f"seed_{seed}") as database:
        play = Play(plan, place, database, home)
        try:
            restless = play.play()
            history = gather(play, database, restless=restless)
        finally:
            play.end()
    shutil.rmtree(home)
    return Verdict(
        seed=seed,
        violations=violations(history),
        tally=tally_of(history),
        payments=len(history.versions),
        seconds=time.monotonic() - begin,
        story=timeline(history),
    )


def trials(seeds: Sequence[int], jobs: int) -> Iterator[Verdict]:
    """Verdicts as they come; each job is a process with a database server of its own."""
    context = multiprocessing.get_context("spawn")
    todo = iter(seeds)
    busy: dict[Connection, multiprocessing.process.BaseProcess] = {}
    for _ in range(min(jobs, len(seeds))):
        ours, theirs = context.Pipe()
        process = context.Process(target=_job, args=(theirs,))
        process.start()
        theirs.close()
        busy[ours] = process
        ours.send(next(todo))
    try:
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                try:
                    yield connection.recv()
                except EOFError:
                    raise RuntimeError("a job of the campaign died; its error is above") from None
                following = next(todo, None)
                connection.send(following)
                if following is None:
                    busy.pop(connection).join()
    finally:
        for process in busy.values():
            process.terminate()
            process.join()


def _job(orders: Connection) -> None:
    """Play seeds until there are none left."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    home = Path(tempfile.mkdtemp(prefix="repayment-campaign-"))
    try:
        with place(home) as ground:
            while (seed := orders.recv()) is not None:
                orders.send(trial(ground, seed))
    except (EOFError, KeyboardInterrupt):
        return  # nobody waits for more
    finally:
        shutil.rmtree(home, ignore_errors=True)
