"""One posting run, from the queue to the recorded results.

The course of a run: take over what dead runs left in doubt and look it up; post what is due, the
payments of one loan one after another, different loans in parallel; wait out the settle time of
what went into doubt, look that up, and post what turns out not to have been applied.

What belongs here: that course, and when to stop. What does not: SQL (`work`, `claims`, `results`,
`settlement`), sending one payment (`sending`), HTTP (`fineract`).
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from psycopg import AsyncConnection, OperationalError, errors

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LookupFailed
from repayment_platform.ledger.identity import check_ledger, remember_ledger
from repayment_platform.ledger.scope import sent_to
from repayment_platform.ledger.workers import StopSwitch, Workers
from repayment_platform.posting import unsent
from repayment_platform.posting.allowance import Allowance
from repayment_platform.posting.asking import AskFirst
from repayment_platform.posting.claims import Claims
from repayment_platform.posting.feed import judge, refresh
from repayment_platform.posting.liveness import keep_plans, live_run, take_over_dead_runs
from repayment_platform.posting.model import (
    Payment,
    PostingStopped,
    QueueLine,
    Selection,
    State,
    Summary,
)
from repayment_platform.posting.pace import Pace
from repayment_platform.posting.pace_log import telling
from repayment_platform.posting.patience import Patience
from repayment_platform.posting.permits import Permits
from repayment_platform.posting.results import Result, Results
from repayment_platform.posting.sending import Sending, Written
from repayment_platform.posting.settlement import Doubt, doubts
from repayment_platform.posting.tally import count
from repayment_platform.posting.verdicts import Then
from repayment_platform.posting.work import (
    POST_NEW,
    RETRY_FAILED,
    Connection,
    due_loans,
    look_up_by_key,
    queue,
    waiting,
)
from repayment_platform.settings import Settings
from repayment_platform.warehouse.group_commit import GroupCommit

Progress = Callable[[Summary, str], None]
"""Told after each result, and when a run begins to wait: what was done so far and what is done."""
POSTING = "posting"

NOT_POSTED = (State.WAITING, State.FAILED, State.HELD)
"""States of a payment that leave a run's limits to others."""
SETTLE_ROUNDS = 3
"""How often a run waits out what went into doubt before it leaves the rest to the next."""
MOST_SETTLE_ROUNDS = 20
"""The same, with those rounds in which Fineract was away."""


class NoCore(Exception):
    """CORE has not been built in this database yet."""


async def inspect(conninfo: str, selection: Selection, run_id: str) -> list[QueueLine]:
    """The queue as a run starting now would see it; changes nothing.

    Raises:
        NoCore: dbt has not built CORE yet.
    """
    async with (
        await AsyncConnection.connect(conninfo, autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        await _refresh(connection)
        return await queue(connection, selection, run_id)


async def post(
    settings: Settings,
    conninfo: str,
    selection: Selection,
    run_id: str,
    *,
    progress: Progress = lambda _summary, _doing: None,
    switch: StopSwitch | None = None,
    pace: Pace | None = None,
) -> Summary:
    """Post what is due and return what was done.

    Args:
        pace: how many requests may be under way; by default it follows what Fineract takes, up to
            POSTING_WORKERS.

    Raises:
        PostingStopped: the run ended early through no fault of the payments; they stay open.
        WrongLedger, RunAlreadyActive, NoCore: nothing was sent.
    """
    started = time.monotonic()
    pace = pace or Pace(settings.posting_workers)
    async with (
        live_run(conninfo, run_id) as locked,
        await AsyncConnection.connect(conninfo, autocommit=True) as reading,
        await AsyncConnection.connect(conninfo, autocommit=True) as writing,
    ):
        await check_ledger(reading, settings)
        await look_up_by_key(reading)
        await _refresh(reading)
        await keep_plans(writing)
        claims = GroupCommit(Claims(locked, run_id, selection).write, settings.posting_workers)
        results = GroupCommit(Results(writing, run_id).write, settings.posting_workers)
        async with claims.running(), results.running(), telling(reading, run_id, pace):
            allowance = await Allowance.of(reading, selection.limit)
            run = _Run(
                settings,
                selection,
                run_id,
                reading,
                Written(claims, results),
                allowance,
                progress,
                switch,
                pace,
            )
            await run.ask_about_unsent()
            await take_over_dead_runs(locked, run_id)
            await run.settle_and_post()
        await _refresh(reading, judge)
        for lender, deferred in (await allowance.defer_refused(reading)).items():
            run.summary.of(lender).deferred += deferred
    run.summary.seconds = time.monotonic() - started
    run.summary.pace = pace.standing
    run.summary.stopped = run.switch.reason
    run.summary.was_told_to_stop = run.switch.is_request
    run.summary.has_answered = run.has_answered
    if run.switch.reason:
        raise PostingStopped(run.summary)
    return run.summary


async def _refresh(
    connection: Connection, by: Callable[[Connection], Awaitable[None]] = refresh
) -> None:
    try:
        async with connection.transaction():
            await by(connection)
    except errors.UndefinedTable:
        raise NoCore('"CORE"."CORE_TRANSACTION_DATA" is not built yet: run dbt first') from None
    except errors.IdleInTransactionSessionTimeout as error:
        raise OperationalError(f"this process stood still too long: {error}") from None


class _Run:
    """The state of one run: its counts, its stop switch and its clients."""

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        run_id: str,
        reading: Connection,
        written: Written,
        allowance: Allowance,
        progress: Progress,
        switch: StopSwitch | None,
        pace: Pace,
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._run_id = run_id
        self._reading = reading
        self._allowance = allowance
        self._progress = progress
        self._doubted: set[str] = set()
        self.switch = switch or StopSwitch()
        seconds = settings.fineract_patience_seconds
        self._patience = Patience(self.switch, seconds, settings.base_url, self._tell_standstill)
        self._workers = Workers(settings, self.switch)
        self.summary = Summary(run_id)
        self._sending = Sending(
            settings,
            written,
            self._patience,
            Permits(pace),
            self.switch,
            partial(sent_to, reading),
            self._ended,
        )
        self._ask_first = AskFirst(self._sending.loan, self.summary, self.switch)

    async def ask_about_unsent(self) -> None:
        """Ask whether what no run sends stands in Fineract, and judge by the answers."""
        if not (asked := await unsent.to_ask(self._reading)):
            return
        await remember_ledger(self._reading, self._settings)
        answers: list[tuple[unsent.Unsent, unsent.Answer]] = []

        async def one_by_one() -> AsyncIterator[unsent.Unsent]:
            for each in asked:
                yield each

        async def ask(_worker: int, client: FineractClient, each: unsent.Unsent) -> None:
            sent = partial(sent_to, self._reading)
            answer = await unsent.ask(client, each, self._sending.transaction, sent)
            if isinstance(answer, LookupFailed):
                if answer.system_fault:
                    self.switch.stop(answer.why)
            else:
                answers.append((each, answer))

        await self._workers.share_out(one_by_one(), ask)
        await unsent.keep(self._reading, answers)
        await _refresh(self._reading, judge)

    async def settle_and_post(self) -> None:
        await self._look_up(await self._doubts())
        await self._post_due()
        rounds = 0
        for _ in range(MOST_SETTLE_ROUNDS):
            unanswered = self._patience.unanswered
            open_ends = [d for d in await self._doubts() if d.state is State.UNKNOWN]
            if not open_ends or self.switch.is_set:
                return
            wait = max(doubt.seconds_left for doubt in open_ends)
            self._progress(
                self.summary, f"waiting {wait:.0f} s to settle {len(open_ends)} in doubt"
            )
            await self.switch.sleep(wait)
            self._doubted |= {doubt.attempt.payment.source_key for doubt in open_ends}
            await self._look_up(await self._doubts())
            await self._post_due({doubt.attempt.payment.loan for doubt in open_ends})
            rounds += unanswered == self._patience.unanswered
            if rounds == SETTLE_ROUNDS:
                return

    @property
    def has_answered(self) -> bool:
        return self._patience.has_answered

    def _ended(self, payment: Payment, result: Result) -> None:
        count(self.summary, payment, result)
        self._progress(self.summary, POSTING)

    async def _tell_standstill(self, what: str) -> None:
        left = await waiting(self._reading, self._selection, self._run_id)
        self._progress(self.summary, f"{what}; {left:,} wait")

    async def _doubts(self) -> list[Doubt]:
        # Only the intent's time is known to everybody; the request left within its time-out.
        conclusive = self._settings.timeout_seconds + self._settings.settle_seconds
        return await doubts(self._reading, self._run_id, conclusive)

    async def _post_due(self, loans: set[str] | None = None) -> None:
        """Post all that is due, or what is due of these loans."""

        async def loans_due(which: str) -> AsyncIterator[list[Payment]]:
            allowance = self._allowance
            due = due_loans(self._reading, self._selection, self._run_id, which, allowance, loans)
            remembered = False
            async for payments in due:
                if not remembered:
                    await remember_ledger(self._reading, self._settings)
                    remembered = True
                yield payments

        for which in (POST_NEW, RETRY_FAILED):
            await self._workers.share_out(loans_due(which), self._post_loan)

    async def _post_loan(self, worker: int, client: FineractClient, loan: list[Payment]) -> None:
        loan = await self._ask_first.to_send(client, loan)
        for number, payment in enumerate(loan):
            if not self._allowance.takes(payment, loan[number + 1 :]):
                return
            if payment.source_key not in self._doubted:
                self.summary.of(payment.lender).picked_up += 1
            verdict = await self._sending.post(worker, client, payment)
            if verdict is None or verdict.result.state in NOT_POSTED:
                self._allowance.gives_back(payment)
            if verdict is None or verdict.then is not Then.NEXT:
                return

    async def _look_up(self, open_ends: list[Doubt]) -> None:
        """Ask for each, and read what CORE learned of them meanwhile."""

        async def one_by_one() -> AsyncIterator[Doubt]:
            for doubt in open_ends:
                yield doubt

        async def settle(_worker: int, client: FineractClient, doubt: Doubt) -> None:
            await self._sending.settle(client, doubt)

        await self._workers.share_out(one_by_one(), settle)
        if open_ends:
            await _refresh(self._reading)
