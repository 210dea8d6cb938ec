"""Payments that no run sends, looked up in Fineract: they may stand there all the same.

What belongs here: asking about them, what each answer means, and keeping it. What does not: which
they are, and what follows from the answer (`exceptions/called.sql`).

A run that sends a payment which stands in Fineract finds that out: the external id is taken. One
that is not sent (its money was given back, its report was withdrawn, a person ruled it out) may
have been posted before this database was restored from an older backup, and nobody would know. So
it is looked up once. What stands there as it is known here is recorded as posted by us, and asks to
be undone like any other posting that is to be. Trouble is no answer: it is asked again.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from psycopg.rows import dict_row

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    Absent,
    Elsewhere,
    Found,
    InvalidRequestError,
    LedgerTransaction,
    Lookup,
    LookupFailed,
    UnknownLoan,
)
from repayment_platform.ledger.instead import SentTo, named, standing_for
from repayment_platform.posting.model import Payment
from repayment_platform.posting.verdicts import differing
from repayment_platform.posting.work import Connection
from repayment_platform.warehouse.statements import statement

MOST = 1000
"""How many a run asks about; the rest is left to the next."""
LOOK_UP = "look-up"
"""In the place of the run that posted it, of what was found in Fineract and is sent by no run."""

_TO_ASK = f"""
SELECT t.source_key, t.source_lender, t.loan_external_id, t.payment_date, t.amount,
       coalesce(p.external_id, t.source_key) AS external_id
FROM "CORE"."CORE_EXCEPTION" e
JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
WHERE e.closed_at IS NULL AND e.kind = 'asked_first'
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_POSTING_ATTEMPT" a
                  WHERE a.source_key = e.source_key AND a.settled_at IS NULL)
ORDER BY e.id LIMIT {MOST}
"""  # noqa: S608 (a number of this module)
_RECORD = statement(__file__, "record_found.sql")
_IS_KNOWN = """
SELECT FROM "CORE"."CORE_POSTING_ATTEMPT"
WHERE source_key = %s AND (settled_at IS NULL OR outcome = 'success' AND undone_at IS NULL)
"""
_KEEP = """
INSERT INTO "CORE"."CORE_LEDGER_ANSWER" (source_key, external_id, answer, words, incarnation)
VALUES (%(key)s, %(external_id)s, %(answer)s, %(words)s, "CORE".incarnation())
ON CONFLICT (source_key) DO UPDATE SET
    external_id = EXCLUDED.external_id, answer = EXCLUDED.answer, words = EXCLUDED.words,
    asked_at = EXCLUDED.asked_at, incarnation = EXCLUDED.incarnation
"""
_NOTE = 'INSERT INTO "CORE"."CORE_TO_JUDGE" VALUES (%s) ON CONFLICT DO NOTHING'


class Says(StrEnum):
    """What Fineract says of a payment that no run sends."""

    STANDS = "stands"
    ABSENT = "absent"
    UNDONE = "undone"
    DIFFERS = "differs"


@dataclass(frozen=True)
class Unsent:
    """A payment to ask about."""

    payment: Payment
    external_id: str


@dataclass(frozen=True)
class Answer:
    """What Fineract said, in a word and in words for people."""

    says: Says
    words: str
    resource_id: int | None = None
    """Of what stands as the payment is known here."""


LookUp = Callable[[FineractClient, str, str], Awaitable[Lookup]]


async def to_ask(connection: Connection) -> list[Unsent]:
    """Those that Fineract is to be asked about, the longest waiting first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_TO_ASK)
        return [_unsent(row) for row in await cursor.fetchall()]


def _unsent(row: dict[str, Any]) -> Unsent:
    names = ("source_key", "source_lender", "loan_external_id", "payment_date", "amount")
    return Unsent(Payment(*(row[name] for name in names)), row["external_id"])


async def ask(
    client: FineractClient, unsent: Unsent, look_up: LookUp, sent_to: SentTo
) -> Answer | LookupFailed:
    """Look it up, and say what the answer means; of one that was reversed, after a look at what
    stands on its loan instead.

    Args:
        sent_to: which external ids we have sent to loans.
    """
    payment = unsent.payment
    try:
        said = await look_up(client, payment.loan, unsent.external_id)
    except InvalidRequestError as error:  # then it was never sent either
        return Answer(Says.ABSENT, str(error))
    match said:
        case Absent():
            return Answer(Says.ABSENT, "not in the ledger")
        case UnknownLoan():
            return Answer(Says.ABSENT, "Fineract has no such loan")
        case Elsewhere(text=text):
            return Answer(Says.DIFFERS, f"Fineract has it on another loan: {text}")
        case Found(transaction=found) if found.reversed:
            return await _of_reversed(client, found, sent_to)
        case Found(transaction=found):
            there = f"transaction {found.resource_id}"
            if differences := differing(found, payment):
                words = f"Fineract has it as {there}, but {'; '.join(differences)}"
                return Answer(Says.DIFFERS, words)
            return Answer(Says.STANDS, f"Fineract has it as {there}", found.resource_id)
        case LookupFailed():
            return said


async def _of_reversed(
    client: FineractClient, gone: LedgerTransaction, sent_to: SentTo
) -> Answer | LookupFailed:
    loan = gone.loan_external_id
    listing = await client.list_transactions(loan)
    if isinstance(listing, LookupFailed):
        return listing
    if isinstance(listing, UnknownLoan):
        return LookupFailed(listing.text)  # it had the loan a moment ago
    if instead := standing_for([gone], listing, await sent_to([loan])):
        changed = named(instead, gone.date)
        return Answer(Says.DIFFERS, f"it was posted, and changed in Fineract to {changed}")
    return Answer(Says.UNDONE, "it was posted and undone in Fineract")


async def keep(connection: Connection, answers: Sequence[tuple[Unsent, Answer]]) -> None:
    """Record what stands as posted by us, and keep any other answer; what follows is judged by the
    next comparison."""
    async with connection.transaction():
        for unsent, answer in answers:
            await _keep(connection, unsent, answer)


async def _keep(connection: Connection, unsent: Unsent, answer: Answer) -> None:
    key = unsent.payment.source_key
    if answer.says is Says.STANDS and await _cannot_record(connection, unsent, answer):
        words = f"{answer.words}, and another payment with its reference is posted"
        answer = Answer(Says.DIFFERS, words)
    if answer.says is not Says.STANDS:
        told = {"answer": answer.says, "words": answer.words}
        asked = {"key": key, "external_id": unsent.external_id}
        await connection.execute(_KEEP, asked | told)
    await connection.execute(_NOTE, (key,))


async def _cannot_record(connection: Connection, unsent: Unsent, answer: Answer) -> bool:
    """Record it; True where that cannot be, because another payment has its reference."""
    payment = unsent.payment
    facts = {
        "key": payment.source_key,
        "loan": payment.loan,
        "date": payment.date,
        "amount": payment.amount,
        "external_id": unsent.external_id,
        "resource_id": answer.resource_id,
        "idempotency_key": secrets.token_hex(16),
        "look_up": LOOK_UP,
    }
    if (await connection.execute(_RECORD, facts)).rowcount:
        return False
    # Another run may have recorded it just now.
    return (await connection.execute(_IS_KNOWN, (payment.source_key,))).rowcount == 0
