"""Playing a plan: changes, runs and trouble on real processes, then runs until it is quiet.

What belongs here: the order of events and the campaign's own deeds. What does not: gathering what
came of it (`evidence`), judging it (`rules`).
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from repayment_platform_tests.faults.campaign import worker
from repayment_platform_tests.faults.campaign.balancer import CUT, FIND, LEAVE, LOSE, Balancer
from repayment_platform_tests.faults.campaign.changes import Changes
from repayment_platform_tests.faults.campaign.history import Deed, Run
from repayment_platform_tests.faults.campaign.place import Database, Place
from repayment_platform_tests.faults.campaign.plan import Change, Plan, Wave
from repayment_platform_tests.faults.campaign.processes import Child, fork
from repayment_platform_tests.faults.campaign.stand_in import StandIn
from repayment_platform_tests.faults.campaign.trouble import Event, RunOrder

RUN_SECONDS = 40.0
"""A run that takes longer is hung."""
CALM_RUNS = 14
"""Runs without trouble after which everything must have come to rest."""

_OF_BALANCER = {
    "a third of the ways is lost": LOSE,
    "the ways are found again": FIND,
    "connections are cut now and then": CUT,
}
_LOCK = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
_ANY = """
SELECT pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name <> 'campaign'
    ORDER BY random() LIMIT 1) one
"""
# Time passes: what was to be left alone for minutes is due.
_BACK_OFF_IS_OVER = 'UPDATE "CORE"."CORE_OPEN_WORK" SET not_before = NULL'
# What failed rests where its loan takes no repayments; else a run has yet to find that out.
_RESTLESS = """
SELECT 'intent ' || id || ' is open' AS what FROM "CORE"."CORE_POSTING_ATTEMPT"
WHERE settled_at IS NULL AND error_code IS DISTINCT FROM 'awaiting_approval'
UNION ALL
SELECT format('%%s (%%s) is %%s: %%s', source_key, loan_external_id, state, reason)
FROM "CORE"."CORE_OPEN_WORK" w
WHERE (state = 'waiting' AND recon_source IS NULL OR state = 'deferred'
       AND reason NOT LIKE 'lender paused%%'
       OR state = 'failed' AND recon_source IS NULL AND loan_external_id <> ALL (%(bad)s))
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" a
                  WHERE a.settled_at IS NULL
                    AND (a.loan_external_id = w.loan_external_id OR a.source_key = w.source_key
                         OR a.payment_ref = w.payment_ref))
"""

_LEFT = """
SELECT format('%%s (%%s) is %%s: %%s', source_key, loan_external_id, state, reason) AS what
FROM "CORE"."CORE_OPEN_WORK"
WHERE loan_external_id LIKE %s AND recon_source IS NULL AND state NOT IN ('held', 'deferred')
"""


@dataclass
class _Started:
    run: Run
    child: Child


class Play:
    """One seed on its way."""

    def __init__(self, plan: Plan, place: Place, database: Database, home: Path) -> None:
        self.plan = plan
        self._place = place
        self._database = database
        self._home = home
        self._started: list[_Started] = []
        self.deeds: list[Deed] = []
        self.stand_in = StandIn(home, plan.seed)
        self._balancer = Balancer(home, self.stand_in.port) if plan.balanced else None
        port = self._balancer.port if self._balancer else self.stand_in.port
        self.around = worker.Surroundings(database.urls.psycopg, port, home)
        self._changes = Changes(database, self.stand_in)

    @property
    def runs(self) -> dict[str, Run]:
        return {started.run.run_id: started.run for started in self._started}

    def play(self) -> tuple[str, ...]:
        """Play all waves, then runs until it is quiet; what did not come to rest."""
        try:
            self.stand_in.start()
            self._changes.prepare(self.plan)
            for wave in self.plan.waves:
                self._play_wave(wave)
            return self._calm_down()
        finally:
            for started in self._started:
                started.child.signal(signal.SIGKILL)
                started.child.wait(RUN_SECONDS)

    def end(self) -> None:
        self.stand_in.kill()
        if self._balancer:
            self._balancer.end()

    def _play_wave(self, wave: Wave) -> None:
        self.stand_in.bring_back(at_once=True)
        for change in wave.changes:
            self._change(change)
        self.stand_in.install(wave.rules, conflicts=wave.conflicts)
        agenda: list[tuple[float, Callable[[], None]]] = [
            *((order.start, lambda order=order: self._start(order)) for order in wave.runs),
            *((at, lambda change=change: self._change(change)) for at, change in wave.meanwhile),
            *((event.at, lambda event=event: self._make_happen(event)) for event in wave.events),
        ]
        begin = time.monotonic()
        for at, act in sorted(agenda, key=lambda entry: entry[0]):
            self._watch_until(lambda due=begin + at: time.monotonic() >= due, RUN_SECONDS)
            act()
        self._wait_for_runs()
        self._tell_balancer(FIND, LEAVE)
        if wave.own_loans:
            left = self._database.ask(_LEFT, (f"{wave.own_loans}%",))
            self._started[-1].run.left = tuple(row["what"] for row in left)

    def _calm_down(self) -> tuple[str, ...]:
        """The trouble is over; frozen runs wake up beside the first run that takes over."""
        self.stand_in.bring_back(at_once=True)
        self.stand_in.install(())
        bad = [loan for loan in self.plan.loans if self.plan.is_bad(loan)]
        for number in range(1, CALM_RUNS + 1):
            self._database.ask(_BACK_OFF_IS_OVER)
            run_id = f"run-calm-{number}"
            self._start(RunOrder(run_id, start=0, workers=4))
            if self._frozen():
                self._watch_until(lambda: False, 0.3)
                self._thaw()
            self._wait_for_runs()
            restless = self._database.ask(_RESTLESS, {"bad": bad})
            if not restless and not self._frozen():  # one that thaws may freeze once more
                break
        return tuple(row["what"] for row in restless)

    # ── runs ────────────────────────────────────────────────────────────────────────────────

    def _start(self, order: RunOrder) -> None:
        with self._deed(f"start {order.run_id}", run_id=order.run_id):
            run = Run(order, started=time.time())
            output = self._home / f"{order.run_id}.log"
            child = fork(lambda: worker.work(order, self.around), output)
            self._started.append(_Started(run, child))

    def _wait_for_runs(self) -> None:
        """Wait for all that are not frozen; the frozen lose their locks."""
        if not self._watch_until(lambda: not self._busy(), RUN_SECONDS):
            for started in self._busy():
                self._deeds_of(f"{started.run.run_id} is hung", started.run.run_id)
                started.child.signal(signal.SIGABRT)
                started.child.signal(signal.SIGKILL)
                started.child.wait(RUN_SECONDS)
                started.run.code, started.run.ended = None, time.time()
        for started in self._frozen():
            self._break_lock(started.run)

    def _busy(self) -> list[_Started]:
        return [s for s in self._started if not s.run.ended and not s.child.is_stopped]

    def _frozen(self) -> list[_Started]:
        return [s for s in self._started if s.child.is_stopped]

    def _watch_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Tend to all processes until something is so; whether it became so in time."""
        deadline = time.monotonic() + seconds
        while True:
            self._tend()
            if condition():
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)

    def _tend(self) -> None:
        if self.stand_in.bring_back():
            self._deeds_of("the sandbox had died and is back")
        for started in self._started:
            run, child = started.run, started.child
            if run.ended:
                continue
            if child.is_gone:
                run.ended, run.code = time.time(), child.code
                log = self._home / f"{run.run_id}.log"  # one killed at once has none yet
                run.output = log.read_text() if log.exists() else ""
                self._deeds_of(f"{run.run_id} ended with code {run.code}", run.run_id)
            elif child.is_stopped and not run.was_frozen:
                run.was_frozen = True
                self._deeds_of(f"{run.run_id} is frozen", run.run_id)
                doom = run.order.doom
                if doom and doom.freeze and not doom.keeps_lock:
                    self._break_lock(run)

    # ── trouble ─────────────────────────────────────────────────────────────────────────────

    def _make_happen(self, event: Event) -> None:
        started = next((s for s in self._started if s.run.run_id == event.run_id), None)
        with self._deed(event.kind, run_id=event.run_id):
            match event.kind:
                case "kill -9 of a run" if started:
                    started.child.signal(signal.SIGKILL)
                case "SIGTERM to a run" if started:
                    started.run.was_asked_to_stop = True
                    started.child.signal(signal.SIGTERM)
                case "freeze of a run" if started:
                    started.child.signal(signal.SIGSTOP)
                case "thaw of all runs":
                    self._thaw()
                case "lost lock of a run" if started:
                    self._break_lock(started.run)
                case "terminated backend":
                    self._disturb(lambda: self._database.ask(_ANY))
                case "PostgreSQL restart, immediate" | "PostgreSQL restart, fast":
                    self._disturb(lambda: self._place.restart(event.kind.rpartition(" ")[2]))
                case "kill -9 of the sandbox" | "Fineract dies for a while":
                    self.stand_in.kill(event.seconds)
                case kind if kind in _OF_BALANCER:
                    self._tell_balancer(_OF_BALANCER[kind])

    def _tell_balancer(self, *orders: bytes) -> None:
        if self._balancer:
            for order in orders:
                self._balancer.tell(order)

    def _break_lock(self, run: Run) -> None:
        if not run.ended:
            run.lost_lock_at = run.lost_lock_at or time.time()
            with self._deed(f"{run.run_id} loses its lock", run_id=run.run_id):
                self._database.ask(_LOCK, (f"posting {run.run_id}",))

    def _disturb(self, act: Callable[[], object]) -> None:
        """Any run under way may lose its connections."""
        for started in self._started:
            if not started.run.ended:
                started.run.lost_lock_at = started.run.lost_lock_at or time.time()
        act()

    def _thaw(self) -> None:
        for started in self._frozen():
            with self._deed(f"{started.run.run_id} is thawed", run_id=started.run.run_id):
                started.child.signal(signal.SIGCONT)
                started.child.is_stopped = False

    # ── the campaign's own record ───────────────────────────────────────────────────────────

    def _change(self, change: Change) -> None:
        with self._deed(str(change), change):
            self._changes.make(change)

    def _deeds_of(self, what: str, run_id: str = "") -> None:
        with self._deed(what, run_id=run_id):
            pass

    @contextmanager
    def _deed(self, what: str, change: Change | None = None, run_id: str = "") -> Iterator[None]:
        at = time.time()
        yield
        self.deeds.append(Deed(at, time.time(), what, change, run_id))
