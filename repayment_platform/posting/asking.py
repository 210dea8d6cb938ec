"""What a run asks before it sends again what Fineract refused.

What belongs here: one look-up of a loan for all its refused payments, and what the run counts of
those that stay. What does not: what a refusal's code means (`refusals`), the request itself
(`engine`).
"""

from collections.abc import Awaitable, Callable, Sequence

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import InvalidRequestError, LoanLookup, LookupFailed
from repayment_platform.posting.model import Failure, Payment, State, Summary
from repayment_platform.posting.refusals import SHOWN, stands
from repayment_platform.posting.workers import StopSwitch

LookUp = Callable[[FineractClient, str], Awaitable[LoanLookup]]


class AskFirst:
    """The loans that a run has asked about."""

    def __init__(self, look_up: LookUp, summary: Summary, switch: StopSwitch) -> None:
        """`look_up` asks for a loan by its external id."""
        self._look_up = look_up
        self._summary = summary
        self._switch = switch
        self._asked_about: set[str] = set()

    async def to_send(self, client: FineractClient, of_loan: Sequence[Payment]) -> list[Payment]:
        """Of a loan's payments those that were not refused, or whose refusal stands no more."""
        stay = {payment for payment in of_loan if payment.refusal in SHOWN}
        if stay and of_loan[0].loan not in self._asked_about:
            stay = await self._refused_still(client, of_loan[0].loan, stay)
        return [payment for payment in of_loan if payment not in stay]

    async def _refused_still(
        self, client: FineractClient, loan: str, refused: set[Payment]
    ) -> set[Payment]:
        self._asked_about.add(loan)
        answer: LoanLookup
        try:
            answer = await self._look_up(client, loan)
        except InvalidRequestError as error:
            answer = LookupFailed(str(error))
        if isinstance(answer, LookupFailed) and answer.system_fault:
            self._switch.stop(answer.why)
        told = {payment: why for payment in refused if (why := stands(payment, answer))}
        for payment, why in told.items():
            self._summary.of(payment.lender).failed += 1
            failure = Failure(payment, State.FAILED, payment.refusal or "", why)
            self._summary.add_failure(failure)
        return set(told)
