"""Whether Fineract answers, and what a run does while it does not.

What belongs here: counting requests that came back without an answer, standing still, asking with
growing pauses, giving up. What does not: what is sent (`engine`), what its answer means
(`verdicts`).

One lost connection means nothing. After several in a row, over all workers, the run stands still
and one worker asks. When Fineract answers its question, that worker goes on alone; when Fineract
answers that too, all go on. Only when it has not answered for FINERACT_PATIENCE_SECONDS does the
run end, and what it has not posted stays queued. The question is about no payment's loan: one
that Fineract cannot read must not look like a Fineract that is away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LookupFailed, SystemFault
from repayment_platform.ledger.workers import StopSwitch
from repayment_platform.sources.dates import KOLKATA

SILENCES = 5
"""So many requests in a row without an answer, and the run stands still."""
NEVER_HEARD_SECONDS = 60.0
"""How long a run asks a Fineract that has not answered it once: the address may be wrong."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Between two questions; shorter in the same measure where the patience is below ten minutes."""
USUAL_PATIENCE_SECONDS = 600.0
NO_LOAN = "does-fineract-answer"
"""That there is no such loan is an answer too."""

Say = Callable[[str], Awaitable[None]]


class Patience:
    """What a run knows of the way to Fineract."""

    def __init__(self, switch: StopSwitch, seconds: float, address: str, say: Say) -> None:
        """`say` tells people what the run waits for; `address` is that of Fineract."""
        self._switch = switch
        self._seconds = seconds
        self._address = address
        self._say = say
        self._changed = asyncio.Event()
        self._asker: asyncio.Task[object] | None = None
        self.has_answered = False
        """Fineract answered this run at least once."""
        self._silences = 0
        self._since = 0.0
        self._why = ""
        self._haste = min(1.0, seconds / USUAL_PATIENCE_SECONDS)
        self._pause = FIRST_PAUSE_SECONDS
        self._answers_questions = False
        self.unanswered = 0
        """How many questions were not answered: then Fineract was away."""

    @property
    def is_over(self) -> bool:
        """The run has been told to end."""
        return self._switch.is_set

    def heard(self) -> None:
        """An answer came, whatever it says."""
        self.has_answered = True
        self._silences = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._wake()

    def silence(self, why: str) -> None:
        """A request came back without an answer."""
        if not self._silences:
            self._since = time.monotonic()
        self._silences += 1
        self._why = why

    def is_proxys(self, reply: object) -> bool:
        """Whether something on the way has answered in the place of a Fineract that is away: it is
        at this address, for it has answered this run before."""
        is_elsewhere = isinstance(reply, SystemFault | LookupFailed) and reply.is_elsewhere
        return self.has_answered and is_elsewhere

    @asynccontextmanager
    async def turn(self, client: FineractClient) -> AsyncIterator[None]:
        """For one request: begins at once while Fineract answers, else when it is this worker's
        turn to try. It is not to be sent if the run has been told to end meanwhile."""
        me = asyncio.current_task()
        tries_for_all = False
        while self._stands_still and self._asker is not me and not self._switch.is_set:
            if self._asker is not None:
                await self._changed.wait()
                continue
            self._asker, tries_for_all = me, True
            await self._ask_until_answered(client)
        try:
            yield
        finally:
            if tries_for_all:
                self._asker = None
                self._wake()

    @property
    def _stands_still(self) -> bool:
        return self._silences >= SILENCES

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _ask_until_answered(self, client: FineractClient) -> None:
        """Ask what changes nothing, until that is answered."""
        while self._stands_still and not self._switch.is_set:
            seconds_left = self._since + self.seconds - time.monotonic()
            if seconds_left <= 0:
                self._switch.stop(self._given_up())
                return
            pause = min(self._pause * self._haste, seconds_left)
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            await self._say(
                f"Fineract does not answer since {self._began()}; asking again in {pause:.2g} s"
            )
            if not await self._switch.sleep(pause):
                return
            answer = await client.get_loan(NO_LOAN)
            failed = isinstance(answer, LookupFailed) and answer
            self._answers_questions = not (
                failed and (failed.server_trouble or self.is_proxys(failed))
            )
            if self._answers_questions:
                self.has_answered = True
                self._pause = FIRST_PAUSE_SECONDS
                return
            self._why = failed.why if failed else ""
            self.unanswered += 1

    @property
    def seconds(self) -> float:
        """How long Fineract is waited for, by what is known of it."""
        return self._seconds if self.has_answered else min(self._seconds, NEVER_HEARD_SECONDS)

    def _began(self) -> str:
        silent = timedelta(seconds=time.monotonic() - self._since)
        return f"{datetime.now(KOLKATA) - silent:%H:%M:%S}"

    def _given_up(self) -> str:
        if self._answers_questions:
            return (
                f"Fineract answers questions, but no repayment for {self.seconds:.0f} s, "
                f"since {self._began()}; last: {self._why}"
            )
        if self.has_answered:
            return (
                f"Fineract has not answered for {self.seconds:.0f} s, since {self._began()}; "
                f"last: {self._why}"
            )
        return (
            f"Fineract at {self._address} has not answered once in {self.seconds:.0f} s; "
            f"tried to post and to read a loan; last: {self._why}"
        )
