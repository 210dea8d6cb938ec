"""Asking Fineract, which changes nothing: again where nothing answers.

What belongs here: putting a question, and the question what came of an attempt in doubt. What does
not: which attempts are in doubt (`settlement`), what answers mean (`verdicts`).
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import Found, InvalidRequestError, LookupFailed
from repayment_platform.ledger import instead
from repayment_platform.posting import verdicts
from repayment_platform.posting.patience import Patience
from repayment_platform.posting.settlement import Doubt

TIMES = 3
"""How often a question is put at once where nothing answers."""
Answer = TypeVar("Answer")


async def answered(
    client: FineractClient, patience: Patience, ask: Callable[[], Awaitable[Answer]]
) -> Answer | LookupFailed:
    """What came of asking; a `LookupFailed` where nothing has answered so often."""
    times = TIMES
    while True:
        async with patience.turn(client):
            answer: Answer | LookupFailed = await ask()
            if isinstance(answer, LookupFailed) and patience.is_proxys(answer):
                answer = LookupFailed(answer.why, server_trouble=True)
            if not (isinstance(answer, LookupFailed) and answer.server_trouble):
                patience.heard()
                return answer
            patience.silence(answer.why)
        times -= 1
        if not times or patience.is_over:
            return answer


async def settled(
    client: FineractClient, patience: Patience, doubt: Doubt, sent_to: instead.SentTo
) -> verdicts.Verdict:
    """Look the attempt up, and say what the answer means for its payment.

    Args:
        sent_to: which external ids we have sent to loans.
    """
    attempt = doubt.attempt
    try:
        answer = await answered(
            client,
            patience,
            lambda: client.find_transaction(attempt.payment.loan, attempt.external_id),
        )
    except InvalidRequestError as error:  # then it was never sent either
        return verdicts.not_sendable(attempt, error)
    undone = None
    if isinstance(answer, Found) and answer.transaction.reversed:
        undone = await instead.told(client, answer.transaction, sent_to)
    due = doubt.seconds_left <= 0
    return verdicts.of_lookup(
        attempt, doubt.state, answer, due=due, refused=doubt.refused, undone=undone
    )
