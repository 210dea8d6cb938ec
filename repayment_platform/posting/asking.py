"""What a run asks before it sends again what Fineract refused.

What belongs here: one look-up of a loan for all its refused payments, and what the run counts of
those that stay. What does not: what a refusal's code means (`refusals`), the request itself
(`engine`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import InvalidRequestError, LoanLookup, LookupFailed
from repayment_platform.ledger.workers import StopSwitch
from repayment_platform.posting.model import Failure, Payment, State, Summary
from repayment_platform.posting.refusals import SHOWN, stands

LookUp = Callable[[FineractClient, str], Awaitable[LoanLookup]]


class AskFirst:
    """The loans that a run has asked about."""

    def __init__(self, look_up: LookUp, summary: Summary, switch: StopSwitch) -> None:
        """`look_up` asks for a loan by its external id."""
        self._look_up = look_up
        self._summary = summary
        self._switch = switch
        self._answers: dict[str, LoanLookup] = {}

    async def to_send(self, client: FineractClient, of_loan: Sequence[Payment]) -> list[Payment]:
        """Of a loan's payments those that were not refused, or whose refusal stands no more.

        Where Fineract could not be asked, nothing of the loan goes before the first refused one: it
        might be taken now, and never again after a later one.
        """
        refused = [payment for payment in of_loan if payment.refusal in SHOWN]
        if not refused:
            return list(of_loan)
        loan = of_loan[0].loan
        is_new = loan not in self._answers
        if is_new:
            self._answers[loan] = await self._answer(client, loan)
        answer = self._answers[loan]
        stay = {payment: why for payment in refused if (why := stands(payment, answer))}
        if is_new:
            self._count(stay)
        if isinstance(answer, LookupFailed):
            return list(of_loan[: of_loan.index(refused[0])])
        return [payment for payment in of_loan if payment not in stay]

    async def _answer(self, client: FineractClient, loan: str) -> LoanLookup:
        try:
            answer = await self._look_up(client, loan)
        except InvalidRequestError as error:
            return LookupFailed(str(error))
        if isinstance(answer, LookupFailed) and answer.system_fault:
            self._switch.stop(answer.why)
        return answer

    def _count(self, stay: Mapping[Payment, str]) -> None:
        for payment, why in stay.items():
            self._summary.of(payment.lender).failed += 1
            failure = Failure(payment, State.FAILED, payment.refusal or "", why)
            self._summary.add_failure(failure)
