"""Sending one payment, and asking about one in doubt.

What belongs here: from a payment that is due to its recorded result. What does not: which payments
are due and in which order (`engine`), what replies mean (`verdicts`), how many requests may be
under way (`permits`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    InvalidRequestError,
    LoanLookup,
    Lookup,
    Repayment,
    SystemFault,
    Unknown,
    Unreached,
)
from repayment_platform.ledger.instead import SentTo
from repayment_platform.ledger.workers import StopSwitch
from repayment_platform.posting import verdicts
from repayment_platform.posting.claims import Attempt
from repayment_platform.posting.model import Payment
from repayment_platform.posting.patience import Patience
from repayment_platform.posting.permits import Permits
from repayment_platform.posting.questions import answered, settled
from repayment_platform.posting.results import Result
from repayment_platform.posting.settlement import Doubt
from repayment_platform.posting.verdicts import Then, Verdict
from repayment_platform.settings import Settings
from repayment_platform.warehouse.group_commit import GroupCommit

TRIES_PER_RUN = 3
"""How often a payment in passing trouble is sent at once."""
LONGEST_PAUSE_SECONDS = 5.0
"""Passing trouble that asks for a longer pause is left to the next run."""
UNSENT_PAUSE_SECONDS = 0.1
"""Before one that found no connection is tried again, while others are answered."""


@dataclass(frozen=True)
class Written:
    """What stands in the database before a request leaves, and after its answer."""

    claims: GroupCommit[tuple[Payment, int], Attempt | None]
    results: GroupCommit[Result, bool]


class Sending:
    """How a run sends its payments."""

    def __init__(
        self,
        settings: Settings,
        written: Written,
        patience: Patience,
        permits: Permits,
        switch: StopSwitch,
        sent_to: SentTo,
        ended: Callable[[Payment, Result], None],
    ) -> None:
        """`ended` is told each result that was written."""
        self._settings = settings
        self._written = written
        self._patience = patience
        self._switch = switch
        self._permits = permits
        self._sent_to = sent_to
        self._ended = ended

    async def post(self, worker: int, client: FineractClient, payment: Payment) -> Verdict | None:
        """Post one payment, again where trouble passes soon; None where it is not to be sent."""
        verdict = None
        tries_left = TRIES_PER_RUN
        while tries_left:
            async with self._permits.one(), self._patience.turn(client):
                if self._switch.is_set:
                    break
                sent = await self._claim_and_send(worker, client, payment)
            if sent is None:
                return None
            attempt, verdict = sent
            await self._record(attempt, verdict)
            if verdict.then is Then.WHEN_ANSWERED:
                await self._switch.sleep(UNSENT_PAUSE_SECONDS)
                continue
            pause = verdict.result.back_off_seconds or 0.0
            tries_left -= 1
            if verdict.then is not Then.AGAIN or pause > LONGEST_PAUSE_SECONDS or not tries_left:
                break
            await self._switch.sleep(pause)
        return verdict

    async def settle(self, client: FineractClient, doubt: Doubt) -> None:
        """Look one in doubt up, and record what that proves."""
        async with self._permits.one():
            verdict = await self._settled(client, doubt)
        await self._record(doubt.attempt, verdict)

    async def loan(self, client: FineractClient, loan: str) -> LoanLookup:
        """Look a loan up by its external id."""
        async with self._permits.one():
            return await answered(client, self._patience, lambda: client.get_loan(loan))

    async def transaction(self, client: FineractClient, loan: str, external_id: str) -> Lookup:
        """Look a transaction of a loan up by its external id."""
        async with self._permits.one():
            return await answered(
                client, self._patience, lambda: client.find_transaction(loan, external_id)
            )

    async def _claim_and_send(
        self, worker: int, client: FineractClient, payment: Payment
    ) -> tuple[Attempt, Verdict] | None:
        """Claim and send one payment, and what came of it; None where it is not to be sent."""
        attempt = await self._written.claims.submit((payment, worker))
        return None if attempt is None else (attempt, await self._sent(client, attempt))

    async def _sent(self, client: FineractClient, attempt: Attempt) -> Verdict:
        payment = attempt.payment
        # Whoever looks it up takes for granted that it left soon after its intent.
        if time.monotonic() - attempt.not_before > self._settings.begin_within_seconds:
            return verdicts.never_sent(attempt)
        try:
            repayment = Repayment(payment.loan, attempt.external_id, payment.date, payment.amount)
        except InvalidRequestError as error:
            return verdicts.not_sendable(attempt, error)
        sent = time.monotonic()
        reply = await client.post_repayment(repayment, attempt.idempotency_key)
        if isinstance(reply, SystemFault) and self._patience.is_proxys(reply):
            reply = Unknown(reply.text, server_trouble=True)
        self._permits.replied(reply, sent)
        if isinstance(reply, Unreached):
            self._patience.silence(reply.text)
        elif isinstance(reply, Unknown) and reply.server_trouble:
            self._patience.silence(reply.why)
        else:
            self._patience.heard()
        verdict = verdicts.of_reply(attempt, reply)
        if isinstance(reply, Unknown) and reply.already_there:
            return await self._settled(client, Doubt(attempt, verdict.result.state, seconds_left=1))
        return verdict

    async def _settled(self, client: FineractClient, doubt: Doubt) -> Verdict:
        return await settled(client, self._patience, doubt, self._sent_to)

    async def _record(self, attempt: Attempt, verdict: Verdict) -> None:
        """Write the result, tell it if it was still ours to write, and stop where it says so."""
        if verdict.then is Then.STOP:
            self._switch.stop(verdict.result.reason)
        if await self._written.results.submit(verdict.result):
            self._ended(attempt.payment, verdict.result)
