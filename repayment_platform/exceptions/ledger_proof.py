"""Setting what we recorded as posted against what stands in Fineract's ledger.

What belongs here: asking Fineract, and what follows from its answers: exceptions that a person
sees, and exceptions that the ledger settles. What does not: which loans are asked about
(`ledger.scope`), what counts as a difference (`ledger.differences`), mending one.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

from psycopg import AsyncConnection

from repayment_platform.exceptions.queue import keep_differences
from repayment_platform.exceptions.undoing import keep_reversed, keep_standing
from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import InvalidRequestError, Listing, LookupFailed
from repayment_platform.ledger.differences import (
    Difference,
    Posting,
    Reversal,
    differences,
    reversals,
    standing_again,
)
from repayment_platform.ledger.findings import Proof
from repayment_platform.ledger.identity import check_ledger
from repayment_platform.ledger.scope import LedgerScope, postings_of, sent_to
from repayment_platform.ledger.workers import StopSwitch, Workers
from repayment_platform.settings import Settings
from repayment_platform.warehouse.advisory import take_in_transaction

LOANS_AT_ONCE = 500
"""After so many loans what was learned is kept: a comparison that dies has not asked in vain."""
GIVES_UP_AFTER = 20
"""Failures of Fineract in a row after which it is asked no more: each may take a time-out."""
# Comparisons at the same time write one after another: they meet in many rows, in any order.
LOCK = int.from_bytes(b"compare")
LOCK_SECONDS = 600.0
"""Each writes for seconds."""


async def ledger_agrees(settings: Settings, conninfo: str, scope: LedgerScope) -> Proof:
    """Each posting in scope stands live in the ledger once, with our loan, amount and date, and
    has no twin there: a live repayment of its loan, day and amount that is not ours.

    Every difference is kept as a row of CORE_EXCEPTION of kind `ledger_…`, and is a finding unless
    a person closed it as it is. What is reversed there is recorded as `undone`, which is a finding
    as long as a person is asked about it; that it was undone as an exception asked closes that.

    Raises:
        WrongLedger: the settings name another Fineract than the one that was posted to.
        LockNotHad: another comparison has written for all of `LOCK_SECONDS`.
    """
    proof, switch = Proof(), StopSwitch()
    async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await check_ledger(connection, settings)
        loans = await scope.loans(connection)
        for start in range(0, len(loans), LOANS_AT_ONCE):
            some = loans[start : start + LOANS_AT_ONCE]
            postings = await postings_of(connection, some)
            answers = await _ask(settings, switch, some)
            await _keep(connection, scope, postings, answers, proof)
            if switch.reason:
                proof.findings.append(f"not all loans were asked about: {switch.reason}")
                break
    return proof


async def _ask(settings: Settings, switch: StopSwitch, loans: Sequence[str]) -> dict[str, Listing]:
    """What Fineract says of each loan; nothing of those left when it fails again and again."""
    answers: dict[str, Listing] = {}
    failures_in_a_row = 0

    async def each() -> AsyncIterator[str]:
        for loan in loans:
            yield loan

    async def ask(_worker: int, client: FineractClient, loan: str) -> None:
        nonlocal failures_in_a_row
        try:
            answers[loan] = answer = await client.list_transactions(loan)
        except InvalidRequestError as error:
            answers[loan] = answer = LookupFailed(str(error))
        match answer:
            case LookupFailed(system_fault=True) | LookupFailed(server_trouble=True):
                failures_in_a_row += 1
            case _:
                failures_in_a_row = 0
        if failures_in_a_row >= GIVES_UP_AFTER:
            switch.stop(f"Fineract failed {GIVES_UP_AFTER} times in a row")

    await Workers(settings, switch).share_out(each(), ask)
    return answers


async def _keep(
    connection: AsyncConnection[Any],
    scope: LedgerScope,
    postings: Sequence[Posting],
    answers: dict[str, Listing],
    proof: Proof,
) -> None:
    """Note the answers, and what they settle and raise."""
    by_loan = defaultdict(list)
    for posting in postings:
        by_loan[posting.loan].append(posting)
    asked: list[Posting] = []
    gone: list[Reversal] = []
    back: list[Posting] = []
    sent = await sent_to(connection, list(answers))
    found: list[Difference] = []
    for loan, listing in answers.items():
        if isinstance(listing, LookupFailed):
            proof.findings.append(f"loan {loan} could not be read: {listing.why}")
            continue
        ours = by_loan[loan]
        asked += ours
        found += differences(ours, listing, sent)
        if isinstance(listing, tuple):
            gone += reversals(ours, listing, sent)
            back += standing_again(ours, listing)
    async with connection.transaction():
        await take_in_transaction(connection, LOCK, "keeping what was compared", LOCK_SECONDS)
        await scope.checked(connection, asked)
        told = await keep_differences(connection, [posting.key for posting in asked], found)
        undone = await keep_reversed(connection, gone)
        double = await keep_standing(connection, back)
    proof.checked += len(asked)
    proof.findings += [f"{r.posting.key}: {r.what}" for r in undone]
    proof.findings += [f"{d.posting.key}: {d.what}" for d in told]
    proof.findings += [
        f"{posting.key}: stands in the ledger again, and its reference is posted under another key"
        for posting in double
    ]
