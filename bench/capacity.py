"""Whether as many requests are under way as Fineract takes, also when that changes in mid-run.

    .venv/bin/python -m bench.capacity [--cores 2] [--service-ms 45] [--turns 2]

The sandbox works on so many requests at once, each for so long; the others wait in line. That is
done by sleeping, so it needs no cores of this machine. `fixed` posts with a number that does not
change, `ours` with the engine's own law and POSTING_WORKERS = 50. Each goes through the capacities
in one run: ours through the whole one, half, the whole, twice as much and the whole again, a fixed
number once through each.

A phase's rate counts every payment posted in it, from its first moment on: what ours needs to find
its number counts against it. Latencies are the sandbox's own, from a request to its answer. Best is
the fixed number with the highest rate; the smallest one that reaches 95 % of that rate is what ours
is measured by: at least 95 % of the best rate, at most 1.5 times the latency of the smallest.

What belongs here: finding the number. What does not: how fast the engine is with a given one
(`posting`).
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import httpx
import psycopg

from bench.posting import DAY, PAYMENTS
from bench.support import machine, sandbox, scratch_database, scratch_home, show
from repayment_platform.ledger.workers import StopSwitch
from repayment_platform.posting import engine
from repayment_platform.posting.model import PostingStopped, Selection
from repayment_platform.posting.pace import Pace
from repayment_platform.settings import Settings

LOANS = 2000
CEILING = 50
FIXED = (1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 30, 50)
OVERLOAD_PER_CORE = 20
ENOUGH, LONGEST = 0.95, 1.5


@dataclass(frozen=True)
class Phase:
    """What was measured while the sandbox had so many cores."""

    cores: int
    rate: float
    """Payments posted a second."""
    latency_ms: float
    """Median of their requests."""


@dataclass
class Bench:
    settings: Settings
    conninfo: str
    service_ms: float

    def run(self, pace: Pace, workers: int, cores: Sequence[int], seconds: float) -> list[Phase]:
        """One posting run, through these capacities."""
        rows = sum(cores) * seconds * 1000 / self.service_ms
        run = f"bench-{uuid.uuid4()}"
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            facts = {"run": run, "rows": int(rows * 1.2) + 500, "loans": LOANS, "day": DAY}
            connection.execute(PAYMENTS, facts)
            connection.execute('ANALYZE "CORE"."CORE_TRANSACTION_DATA"')
        after = self._newest_request()
        bounds = asyncio.run(self._post(run, pace, workers, cores, seconds))
        answered = [
            request
            for request in self._get("requests", after=after)
            if request["operation"] == "repayment" and request["status"] == 200
        ]
        return [
            self._phase(cores_, answered, began, ended)
            for cores_, began, ended in zip(cores, bounds, bounds[1:], strict=False)
        ]

    async def _post(
        self, run: str, pace: Pace, workers: int, cores: Sequence[int], seconds: float
    ) -> list[float]:
        """Returns when each phase began, and when the last one ended."""
        switch, posting = StopSwitch(), asyncio.Event()
        settings = self.settings.model_copy(update={"posting_workers": workers})
        await self._set_cores(cores[0])
        task = asyncio.create_task(
            engine.post(
                settings,
                self.conninfo,
                Selection(("DMI",)),
                run,
                progress=lambda _summary, _doing: posting.set(),
                switch=switch,
                pace=pace,
            )
        )
        await asyncio.wait(
            [task, asyncio.create_task(posting.wait())], return_when="FIRST_COMPLETED"
        )
        bounds = []
        for number in cores:
            await self._set_cores(number)
            bounds.append(time.monotonic())
            await asyncio.sleep(seconds)
        bounds.append(time.monotonic())
        if task.done():
            raise SystemExit(f"the run ended before its time: {task.exception() or task.result()}")
        switch.stop("measured")
        try:
            await task
        except PostingStopped as stopped:
            if stopped.summary.stopped != "measured":
                raise SystemExit(str(stopped)) from None
        return bounds

    async def _set_cores(self, cores: int) -> None:
        body = {
            "cores": cores,
            "service_ms": self.service_ms,
            "overload_at": cores * OVERLOAD_PER_CORE,
        }
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self._root}/machine", json=body)).raise_for_status()

    @staticmethod
    def _phase(cores: int, answered: list[dict[str, float]], began: float, ended: float) -> Phase:
        within = [one for one in answered if began <= one["endedAt"] < ended]
        latencies = [one["endedAt"] - one["startedAt"] for one in within]
        return Phase(cores, len(within) / (ended - began), 1000 * median(latencies))

    def _newest_request(self) -> int:
        newest = 0
        while page := self._get("requests", after=newest, limit=5000):
            newest = page[-1]["id"]
        return newest

    def _get(self, what: str, **parameters: int) -> list[dict[str, float]]:
        answer = httpx.get(f"{self._root}/{what}", params=parameters, timeout=60)
        return list(answer.raise_for_status().json())

    @property
    def _root(self) -> str:
        return f"http://127.0.0.1:{self.settings.sandbox_port}/sandbox"


def judged(ours: Phase, fixed: dict[int, dict[int, Phase]]) -> tuple[object, ...]:
    """A line of the table: a phase of ours beside the fixed numbers at that capacity."""
    there = {number: phases[ours.cores] for number, phases in fixed.items()}
    best = max(there, key=lambda number: there[number].rate)
    smallest = min(n for n, phase in there.items() if phase.rate >= ENOUGH * there[best].rate)
    share = ours.rate / there[best].rate
    times = ours.latency_ms / there[smallest].latency_ms
    return (
        ours.cores,
        f"{ours.rate:.1f}",
        f"{there[best].rate:.1f} ({best})",
        f"{share:.1%}",
        f"{ours.latency_ms:.0f}",
        f"{there[smallest].latency_ms:.0f} ({smallest})",
        f"{times:.2f}",
        "yes" if share >= ENOUGH and times <= LONGEST else "NO",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2, help="even: it is halved and doubled")
    parser.add_argument("--service-ms", type=float, default=45)
    parser.add_argument("--fixed", type=int, nargs="+", default=FIXED)
    parser.add_argument("--fixed-seconds", type=float, default=8, help="of each capacity")
    parser.add_argument("--seconds", type=float, default=20, help="of each capacity, of ours")
    parser.add_argument("--turns", type=int, default=2, help="how often ours is measured")
    options = parser.parse_args()
    print(machine())
    whole, half, twice = options.cores, options.cores // 2, options.cores * 2
    fixed: dict[int, dict[int, Phase]] = {}
    ours: list[Phase] = []
    with scratch_home() as home, scratch_database(home) as urls:
        loans = [f"BENCH-{number}" for number in range(LOANS)]
        with sandbox(home, 0, loans) as settings:
            bench = Bench(settings, urls.psycopg, options.service_ms)
            for turn in range(max(options.turns, 1)):
                # What disturbs the machine for a while shall not disturb one side only.
                for number in options.fixed[turn :: options.turns]:
                    pace = Pace(number, floor=number)
                    phases = bench.run(pace, number, (whole, half, twice), options.fixed_seconds)
                    fixed[number] = {phase.cores: phase for phase in phases}
                    print(f"fixed {number}: {phases}", flush=True)
                pace = Pace(CEILING)
                course = (whole, half, whole, twice, whole)
                ours += bench.run(pace, CEILING, course, options.seconds)
                print(f"ours: {ours[-len(course) :]}; {pace.standing}", flush=True)
    print(f"\n{options.cores} cores, {options.service_ms:g} ms a request\n")
    levels = (half, whole, twice)
    show(
        ("fixed", *(f"{n} cores: payments/s, median ms" for n in levels)),
        [
            (
                number,
                *(
                    f"{fixed[number][n].rate:.1f}, {fixed[number][n].latency_ms:.0f}"
                    for n in levels
                ),
            )
            for number in sorted(fixed)
        ],
    )
    header = ("cores", "ours, payments/s", "best fixed", "of best", "ours, median ms")
    lines = [judged(phase, fixed) for phase in ours]
    show((*header, f"smallest fixed of {ENOUGH:.0%}, ms", "times", "reached"), lines)


if __name__ == "__main__":
    main()
