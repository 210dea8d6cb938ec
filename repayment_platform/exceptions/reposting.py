"""Posting again, on purpose, a payment whose repayment does not stand in Fineract any more.

What belongs here: the audited act that puts such a payment back on the list of open work: what
Fineract, restored from a backup, has lost, and what a person undid there; and the external id that
the payment has from then on. What does not: posting it (the next run does, under every guard of a
new payment), undoing anything in Fineract.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg
from psycopg.rows import dict_row

from repayment_platform.display import at
from repayment_platform.exceptions.decisions import NoSuchException, decide
from repayment_platform.exceptions.kinds import UNDONE, Decision
from repayment_platform.exceptions.queue import close_reposted
from repayment_platform.exceptions.refold import fold_again
from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    Absent,
    Found,
    InvalidRequestError,
    LedgerTransaction,
    LookupFailed,
)
from repayment_platform.fineract.errors import BEFORE_LAST
from repayment_platform.ledger.identity import REMEMBERED, fineract_client, refuse_another
from repayment_platform.ledger.instead import named, standing_for, strays
from repayment_platform.ledger.scope import SENT
from repayment_platform.settings import Settings
from repayment_platform.sources.keys import repost_id
from repayment_platform.warehouse import audit

# A payment with the facts it would be posted with now, its outcome, and its hold where a look-up
# that settled a doubt found it undone.
_PAYMENT = f"""
SELECT t.source_key, t.loan_external_id AS loan, t.amount, t.payment_date AS date, t.recon_source,
       t.is_success AND t.loan_external_id IS NOT NULL AS is_repayment,
       t.outcome IN ('refund', 'late_return') AND t.loan_external_id IS NOT NULL AS is_given_back,
       coalesce(p.status = 'success', false) AS is_posted, p.fineract_transaction_id, h.id AS hold,
       p.processed_at, p.payment_date AS date_there,
       coalesce(p.external_id, t.source_key) AS external_id,
       CASE WHEN p.status = 'success' THEN p.loan_external_id ELSE t.loan_external_id END
           AS loan_there,
       young.ask_from, young.ask_from > clock_timestamp() AS is_young
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
LEFT JOIN "CORE"."CORE_HOLD" h
    ON h.source_key = t.source_key AND h.reason_code = '{UNDONE}' AND h.decision IS NULL
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.status = 'success' THEN p.processed_at ELSE h.held_at END
        + make_interval(secs => %(settle)s) AS ask_from
) young
WHERE t.source_key = %(key)s
"""  # noqa: S608 (the part is a constant)
_MISSING = """
SELECT source_key FROM "CORE"."CORE_EXCEPTION"
WHERE kind = 'ledger_missing' AND closed_at IS NULL ORDER BY id
"""
# Each external id under which the payment has stood in Fineract, and the loan on which it did last.
_FORMER = f"""
SELECT DISTINCT ON (external_id) external_id, loan_external_id
FROM (SELECT id, coalesce(external_id, source_key) AS external_id, loan_external_id
      FROM "CORE"."CORE_POSTING_ATTEMPT"
      WHERE source_key = %s AND (outcome = 'success' OR error_code = '{UNDONE}')) a
ORDER BY external_id, id DESC
"""  # noqa: S608 (the part is a constant)
# The key's own facts, which never change: those that the payment is posted with might become the
# facts of another key as well.
_MADE_OF = """
SELECT source_lender, loan_external_id, payment_date, amount, occurrence
FROM "CORE"."CORE_PAYMENT_KEY" WHERE source_key = %s AND occurrence IS NOT NULL
"""
# Only what still is as it was when Fineract was asked.
_UNDO_OUTCOME = """
INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" AS p (source_key, source_lender, status,
    loan_external_id, payment_date, amount, payment_ref, recon_source, external_id, error_code,
    error_text, run_id)
SELECT source_key, source_lender, 'failed', loan_external_id, payment_date, amount, payment_ref,
       recon_source, nullif(%(external_id)s, source_key), %(found)s, %(why)s, 'repost'
FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %(key)s
ON CONFLICT (source_key) DO UPDATE SET status = 'failed', fineract_transaction_id = NULL,
    external_id = EXCLUDED.external_id, error_code = EXCLUDED.error_code,
    error_text = EXCLUDED.error_text, processed_at = clock_timestamp(), ledger_checked_at = NULL
WHERE p.processed_at = %(processed_at)s
"""
_UNDO_ATTEMPT = f"""
UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET undone_at = now()
WHERE source_key = %(key)s AND undone_at IS NULL
  AND (outcome = 'success' OR error_code = '{UNDONE}')
"""  # noqa: S608 (the part is a constant)
_REOPEN = """
INSERT INTO "CORE"."CORE_OPEN_WORK" AS w (source_key, source_lender, loan_external_id, payment_date,
    amount, payment_ref, recon_source, state, reason)
SELECT source_key, source_lender, loan_external_id, payment_date, amount, payment_ref,
       recon_source, 'waiting', 'to be posted again: ' || %(why)s
FROM "CORE"."CORE_TRANSACTION_DATA"
WHERE source_key = %(key)s AND is_success AND loan_external_id IS NOT NULL
ON CONFLICT (source_key) DO UPDATE
SET state = EXCLUDED.state, reason = EXCLUDED.reason, updated_at = now()
WHERE w.state IN ('waiting', 'deferred', 'held', 'failed')
"""
# What Fineract refused because of the repayment that stands no more goes first: it is older.
_SEND_EARLIER = f"""
UPDATE "CORE"."CORE_OPEN_WORK" w
SET state = 'waiting', reason = 'a later repayment of its loan was undone', updated_at = now()
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
WHERE w.state = 'failed' AND w.loan_external_id = %(loan)s AND w.payment_date < %(date)s
  AND p.source_key = w.source_key AND p.error_code = '{BEFORE_LAST}'
"""  # noqa: S608 (the part is a constant)


class NotReposted(Exception):
    """The payment was not put back; the message says why.

    `standing`: the repayments in Fineract that may be its money, as far as nobody has said that
    they are other money.
    """

    def __init__(self, why: str, standing: Sequence[LedgerTransaction] = ()) -> None:
        super().__init__(why)
        self.standing = tuple(standing)


@dataclass(frozen=True)
class Reposted:
    """A payment that was put back on the list of open work, and the external id it has now."""

    external_id: str
    is_new: bool
    """Its former repayment was undone in Fineract, which keeps the former external id for it."""
    awaits_reconciliation: bool
    is_held: bool = False
    """The money was given back: the next run holds it, and a person's release posts it."""

    def __str__(self) -> str:
        when = "once it is reconciled again" if self.awaits_reconciliation else "by the next run"
        if self.is_held:
            when = "when the hold that the next run makes of it is released"
        found = "undone in Fineract" if self.is_new else "not in Fineract"
        return f"{found}; to be posted {when}, under the external id {self.external_id}"


def missing_keys(connection: psycopg.Connection[Any]) -> list[str]:
    """Payments whose open exception says that the ledger does not have them."""
    return [key for (key,) in connection.execute(_MISSING)]


async def repost(
    settings: Settings,
    connection: psycopg.Connection[Any],
    source_keys: Sequence[str],
    who: str,
    why: str,
    other_money: Collection[int] = (),
) -> dict[str, Reposted | NotReposted]:
    """Put payments back on the list whose repayment was lost or undone; what came of each.

    Fineract is asked first, about every external id that the payment has had, and only its own
    word counts that none stands. What it has lost keeps its external id, so should that one turn
    up after all, Fineract refuses the second; what was undone gets another, because the undone
    transaction keeps its own. Attempts of the past stay, marked as undone.

    A payment is not put back while a repayment stands that may have taken the place of its own.

    Args:
        other_money: Fineract's numbers of such repayments of which the person says that they are
            other money. The word is good for this repost.

    Raises:
        WrongLedger: the settings name another Fineract than the one that has the payments.
    """
    refuse_another(settings, connection.execute(REMEMBERED).fetchone())
    came: dict[str, Reposted | NotReposted] = {}
    async with fineract_client(settings) as client:
        for key in dict.fromkeys(source_keys):
            try:
                payment = _to_repost(settings, connection, key)
                there = await _see_it_gone(client, connection, payment)
                theirs = _of_other_money(payment, there, other_money)
                came[key] = _put_back(connection, payment, there.external_id, who, why, theirs)
            except NotReposted as reason:
                came[key] = reason
            except InvalidRequestError as error:
                came[key] = NotReposted(f"Fineract cannot be asked about it: {error}")
    return came


def _to_repost(settings: Settings, connection: psycopg.Connection[Any], key: str) -> dict[str, Any]:
    cursor = connection.cursor(row_factory=dict_row)
    asked = {"key": key, "settle": settings.settle_seconds}
    payment = cursor.execute(_PAYMENT, asked).fetchone()
    if payment is None or not (payment["is_posted"] or payment["hold"]):
        raise NotReposted("it is neither recorded as posted nor held as undone in Fineract")
    # Money that was given back may come once more, as of a dispute that was won.
    if not (payment["is_repayment"] or (payment["is_posted"] and payment["is_given_back"])):
        raise NotReposted("it is no repayment any more, see the exceptions")
    if payment["is_young"]:
        when = at(payment["ask_from"])
        raise NotReposted(f"it was posted or held only just now: ask again from {when}")
    return payment


@dataclass(frozen=True)
class _There:
    """What Fineract says of a payment of which nothing stands."""

    external_id: str
    """To post it under from now on."""
    standing: tuple[LedgerTransaction, ...]
    """Repayments that nobody here posted and that may be its money."""
    is_undone: bool


async def _see_it_gone(
    client: FineractClient, connection: psycopg.Connection[Any], payment: dict[str, Any]
) -> _There:
    key, current = payment["source_key"], payment["external_id"]
    former: dict[str, str] = dict(connection.execute(_FORMER, (key,)).fetchall())
    former.setdefault(current, payment["loan_there"])
    undone: dict[str, LedgerTransaction] = {}
    for external_id, loan in former.items():
        answer = await client.find_transaction(loan, external_id)
        match answer:
            case Found(transaction) if transaction.reversed:
                undone[external_id] = transaction
            case Found(transaction):
                raise NotReposted(f"Fineract has it, as transaction {transaction.resource_id}")
            case Absent():
                pass
            case LookupFailed(why=why):
                raise NotReposted(f"Fineract could not be asked: {why}")
            case _:
                raise NotReposted(f"Fineract says neither that it is absent nor undone: {answer}")
    loans = dict.fromkeys([payment["loan"], *(gone.loan_external_id for gone in undone.values())])
    listing = [t for loan in loans for t in await _listing(client, loan)]
    if current in undone:
        # One that we posted after the backup that our database was restored from is undone too.
        taken = {*former, *(t.external_id for t in listing if t.reversed)}
        current = _unused(connection, key, taken)
    sent = connection.execute(SENT, {"loans": list(loans)}).fetchall()
    facts = (payment["loan"], payment["amount"])
    days = {payment["date"], payment["date_there"]}
    ours = {current, *(external_id for (external_id,) in sent)}
    # Somebody may have changed it, which undoes and replaces it, or entered it by hand.
    changed = standing_for(undone.values(), listing, ours)
    twins = (
        t
        for t in strays(listing, ours)
        if (t.loan_external_id, t.amount) == facts and t.date in days
    )
    standing = tuple({t.resource_id: t for t in (*changed, *twins)}.values())
    return _There(current, standing, bool(undone))


async def _listing(client: FineractClient, loan: str) -> tuple[LedgerTransaction, ...]:
    listing = await client.list_transactions(loan)
    if not isinstance(listing, tuple):
        raise NotReposted(f"Fineract could not be asked about loan {loan}: {listing}")
    return listing


def _of_other_money(
    payment: dict[str, Any], there: _There, other_money: Collection[int]
) -> list[str]:
    """What stands of other money, by name, if that was said of all that stands."""
    unsaid = [t for t in there.standing if t.resource_id not in other_money]
    if unsaid:
        names = named(unsaid, payment["date"])
        what = f"it was changed in Fineract to {names}"
        if not there.is_undone:
            what = f"Fineract has {names} on its loan, which we did not post"
        raise NotReposted(f"{what}, and nobody has said that this is other money", unsaid)
    return [named([t], payment["date"]) for t in there.standing]


def _unused(connection: psycopg.Connection[Any], key: str, taken: Collection[str | None]) -> str:
    made_of = connection.execute(_MADE_OF, (key,)).fetchone()
    if made_of is None:
        raise NotReposted("no further external id can be made for it: its key was not made here")
    return next(made for k in count(1) if (made := repost_id(*made_of, k=k)) not in taken)


def _put_back(
    connection: psycopg.Connection[Any],
    payment: dict[str, Any],
    external_id: str,
    who: str,
    why: str,
    other_money: Sequence[str],
) -> Reposted:
    key, former = payment["source_key"], payment["external_id"]
    is_new = external_id != former
    told = {
        "why": why,
        "found": "undone_in_ledger" if is_new else "gone_from_ledger",
        "external_id": external_id,
        "former_external_id": former,
        "former_transaction": payment["fineract_transaction_id"],
        **{name: payment[name] for name in ("loan", "amount", "date")},
        **({"other_money": list(other_money)} if other_money else {}),
    }
    facts = told | {"key": key, "processed_at": payment["processed_at"]}
    with connection.transaction():
        changed = connection.execute(_UNDO_OUTCOME, facts).rowcount
        if payment["is_repayment"]:
            changed = changed and connection.execute(_REOPEN, facts).rowcount
        else:
            fold_again(connection, key, f"repost: {why}")
        if not changed:
            raise NotReposted("it has changed just now, look at it again")
        connection.execute(_UNDO_ATTEMPT, facts)
        connection.execute(_SEND_EARLIER, facts)
        close_reposted(connection, key, who, why)
        if payment["hold"]:
            try:
                decide(connection, payment["hold"], Decision.RELEASE, who, why, reposting=True)
            except NoSuchException:
                raise NotReposted("its hold was decided just now") from None
        audit.record(connection, who, "payment.repost", key, **told)
    is_recon, is_held = payment["recon_source"] is not None, not payment["is_repayment"]
    return Reposted(external_id, is_new, is_recon, is_held)
