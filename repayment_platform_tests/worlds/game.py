"""Worlds in lockstep: what arrives in a step lands in all of them, one run follows, then decisions.

What belongs here: that course, on one database. What does not: landing, judging, deciding.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.silence import nothing_silent
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.feed import READ_ANEW
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.reconciliation import requests, running
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.selection import RECON_LENDERS
from repayment_platform.reconciliation.selection import Selection as Chosen
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.sources.registry import automated_lenders
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests import dbt_once
from repayment_platform_tests.worlds.judge import Violation, judge
from repayment_platform_tests.worlds.landing import Landing
from repayment_platform_tests.worlds.ledger import Books
from repayment_platform_tests.worlds.person import WHO, WHY, Person, shown
from repayment_platform_tests.worlds.standing import KEY, Standing, read
from repayment_platform_tests.worlds.truth import STEP_DAYS, STEPS
from repayment_platform_tests.worlds.world import World

CLOSING_ROUNDS = 6
"""After the last step: so many runs and decisions until nothing is open."""
REBUILT_AFTER = (2, 5)
"""Steps after which CORE is rebuilt from its keys."""
SETTLE_SECONDS = 1.0
"""After so long a person may have posted again what was undone."""

# What awaits reconciliation and may be asked for; where the sources differ, by a person's word.
_TO_RECONCILE = """
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_RECON_RECORD" r USING (source_key)
WHERE w.recon_source IS NOT NULL AND w.state IN ('waiting', 'failed')
  AND (r.match_status <> 'amount_differs' OR w.source_key = ANY (%s))
ORDER BY 1
"""


_LOANS_OF_EXCEPTIONS = """
SELECT p.loan_external_id
FROM "CORE"."CORE_EXCEPTION" e JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
WHERE e.closed_at IS NULL AND p.status <> 'failed'
"""


@dataclass(frozen=True)
class _Loans(LedgerScope):
    """These loans."""

    names: tuple[str, ...] = ()

    async def loans(self, _connection: Any) -> list[str]:
        return list(self.names)


@dataclass
class Game:
    """The course of some worlds, and what was found wrong."""

    urls: DatabaseUrls
    worlds: list[World]
    violations: list[Violation] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    """Stories of which somebody was asked something."""
    told: list[str] = field(default_factory=list)
    """What happened, line by line; only where it is asked for."""
    tells: bool = False
    anew: set[tuple[Any, ...]] = field(default_factory=set)
    """Questions that were asked again after a decision, because something had changed."""
    _runs: int = 0
    _last_run: float = 0.0

    def play(self) -> "Game":
        """Play all steps and the closing rounds."""
        self._reports = [report for world in self.worlds for report in world.reports()]
        self._calendars = {id(r.movement): w.calendar for w in self.worlds for r in w.reports()}
        loans = [loan for w in self.worlds for story in w.stories for loan in story.loans]
        self._books = Books()
        self._books.open_loans(list(dict.fromkeys(loans)))
        self._settings = self._settings_of(settle_seconds=40)  # however busy the machine is
        with ExitStack() as stack:
            stack.enter_context(self._books.serving())
            connect = psycopg.connect(self.urls.psycopg, autocommit=True)
            self._connection: Connection[Any] = stack.enter_context(connect)
            settings = self._settings_of(SETTLE_SECONDS)
            self._person = Person(self._connection, settings, self._books)
            landing = Landing(self._connection, self.urls.psycopg)
            for step in range(STEPS):
                landing.step(self.worlds, step)
                self._tell_landed(step)
                self._run(rebuild=step in REBUILT_AFTER)
                self._round(step)
            for rounds in range(CLOSING_ROUNDS):
                self._run()
                if not self._round(STEPS + rounds):
                    break
            self._judge(STEPS + CLOSING_ROUNDS, self._read(), last=True)
        return self

    def _settings_of(self, settle_seconds: float) -> Settings:
        return Settings(
            _env_file=None, database_url=self.urls.psycopg, repayment_home=Path("/nonexistent"),
            fineract_base_url=SANDBOX, fineract_timeout_seconds=settle_seconds * 0.9,
            fineract_settle_seconds=settle_seconds,
        )  # fmt: skip

    def _run(self, *, rebuild: bool = False) -> None:
        """Keys, models, feed and posting, as a run of the pipeline does them."""
        dbt_once.play(self.urls, full_refresh=rebuild)
        if rebuild:
            self._connection.execute(READ_ANEW)
        self._runs += 1
        run_posting(
            self._settings, self.urls.psycopg, Selection(automated_lenders()), f"run-{self._runs}"
        )
        self._reconcile()
        self._last_run = time.monotonic()
        asyncio.run(ledger_agrees(self._settings, self.urls.psycopg, self._to_compare()))

    def _to_compare(self) -> LedgerScope:
        """The loans on which somebody did something in the ledger, or something is open."""
        rows = self._connection.execute(_LOANS_OF_EXCEPTIONS)
        touched = self._books.touched | {loan for (loan,) in rows}
        self._books.touched = set()
        return _Loans(names=tuple(sorted(touched)))

    def _reconcile(self) -> None:
        """A person asks for all that awaits reconciliation."""
        rows = self._connection.execute(_TO_RECONCILE, (list(self._person.may_reconcile),))
        keys = tuple(key for (key,) in rows)
        if not keys or not (shown := preview(self._connection, Chosen(keys=keys))).count:
            return
        run_id = f"recon-{self._runs}"
        chosen = Chosen(keys=keys)
        request = requests.create(self._connection, chosen, shown.digest, WHO, WHY, four_eyes=False)
        plan = running.begin(self._connection, request, run_id)
        selection = Selection(RECON_LENDERS, recon_keys=plan.keys, recon_request=request)
        if plan.keys:
            run_posting(self._settings, self.urls.psycopg, selection, run_id)
        failed = running.not_posted(self._connection, request, plan) is not None
        running.end(self._connection, request, run_id, {}, failed=failed)

    def _round(self, step: int) -> int:
        """Judge what the run made, and decide what is open; returns the number of acts."""
        standing = self._read()
        self._judge(step, standing)
        self._hear(step, standing)
        if self._person.to_repost:
            time.sleep(max(0.0, SETTLE_SECONDS - (time.monotonic() - self._last_run)))
        before = len(self._person.said)
        acts = self._person.decide(self.worlds, standing, step)
        if self.tells:
            self.told += [f"  asha {said}" for said in self._person.said[before:]]
        return acts + len(self._person.to_repost)

    def _read(self) -> Standing:
        return read(self._connection, self._books, self._reports, self._calendars)

    def _judge(self, step: int, standing: Standing, *, last: bool = False) -> None:
        for question in standing.questions:
            if question.alarms:
                self.held |= {id(row.story) for row in standing.rows.get(question.key, [])}
        for world in self.worlds:
            found = list(judge(world, standing, step, last=last))
            self.violations += found
            if self.tells:
                self._tell_standing(standing, found)

    def _hear(self, step: int, standing: Standing) -> None:
        """What the platform's own proof finds silent, and what is asked again after a decision."""
        for what in nothing_silent(self.urls.psycopg).findings:
            self._blame("silent", next(iter(KEY.findall(what)), ""), standing, step, what)
        for each in standing.questions:
            decided = self._person.answered.get((each.key, each.kind), set())
            if (now := shown(each, standing)) in decided:
                told = f"{each.where} {each.kind}: {each.words}"
                self._blame("asked again", each.key, standing, step, told)
            elif decided:
                self.anew.add((each.key, each.kind, *now))

    def _blame(self, kind: str, key: str, standing: Standing, step: int, what: str) -> None:
        """A violation of the story that the payment is of; of the first one where it is of none."""
        rows = standing.rows.get(key) or self._reports
        self.violations.append(Violation(kind, rows[0].story, step, what))
        self._tell(f"  VIOLATION {kind}: {rows[0].story.slip}: {what}")

    def _tell_landed(self, step: int) -> None:
        rows = [r for r in self._reports if r.step == step and r.landed]
        if self.tells and rows:
            day = ", ".join(f"{w.calendar.date(step * STEP_DAYS)}" for w in self.worlds)
            self.told.append(f"── step {step}, from {day}")
            self.told += [f"  {r.told()}" for r in sorted(rows, key=lambda r: r.raw_id or 0)]

    def _tell_standing(self, standing: Standing, found: Sequence[Violation]) -> None:
        """What is news: keys, questions, violations."""
        rows = [r for r in self._reports if r.raw_id in standing.key_of]
        for row in sorted(rows, key=lambda r: r.raw_id or 0):
            number = row.raw_id or 0
            self._tell(f"  row {number}: {standing.rules[number]} {standing.key_of[number]}")
        for each in standing.questions:
            self._tell(f"  asked: {each.where} {each.kind} {each.key}: {each.words}")
        for wrong in found:
            self._tell(f"  VIOLATION {wrong.kind}: {wrong.story.slip}: {wrong.what}")

    def _tell(self, line: str) -> None:
        if line not in self._known:
            self._known.add(line)
            self.told.append(line)

    def __post_init__(self) -> None:
        self._known: set[str] = set()


def batches(seeds: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Seeds in groups that are played together."""
    for start in range(0, len(seeds), size):
        yield seeds[start : start + size]
