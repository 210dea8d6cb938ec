"""Posting again, on purpose, a payment whose repayment does not stand in Fineract any more.

What belongs here: the audited act that puts such a payment back on the list of open work: what
Fineract, restored from a backup, has lost, and what is undone there. What does not: asking Fineract
whether it is gone (`gone`), posting it (the next run does, under every guard of a new payment),
undoing anything in Fineract.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from repayment_platform.display import at
from repayment_platform.exceptions.gone import NotReposted, of_other_money, see_it_gone
from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.exceptions.queue import close_reposted
from repayment_platform.exceptions.refold import fold_again
from repayment_platform.fineract.contract import InvalidRequestError
from repayment_platform.fineract.errors import BEFORE_LAST
from repayment_platform.ledger.identity import REMEMBERED, fineract_client, refuse_another
from repayment_platform.settings import Settings
from repayment_platform.warehouse import audit

_RULED_OUT = """EXISTS (
    SELECT FROM "CORE"."CORE_EXCEPTION"
    WHERE source_key = %(key)s AND decision IN ('same_payment', 'not_a_repayment'))"""
# A payment with the facts it would be posted with now, its outcome, and whether it is held as
# undone though it is to be posted again: its facts have changed since.
_PAYMENT = f"""
SELECT t.source_key, t.loan_external_id AS loan, t.amount, t.payment_date AS date, t.recon_source,
       t.is_success AND t.loan_external_id IS NOT NULL AND NOT {_RULED_OUT} AS is_repayment,
       t.outcome IN ('refund', 'late_return') AND t.loan_external_id IS NOT NULL AS is_given_back,
       p.status <> 'failed' AS is_posted, p.fineract_transaction_id, h.id IS NOT NULL AS is_held,
       p.processed_at, p.payment_date AS date_there,
       coalesce(p.external_id, t.source_key) AS external_id,
       CASE WHEN p.status <> 'failed' THEN p.loan_external_id ELSE t.loan_external_id END
           AS loan_there,
       young.ask_from, young.ask_from > clock_timestamp() AS is_young
FROM "CORE"."CORE_TRANSACTION_DATA" t
JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
LEFT JOIN "CORE"."CORE_HOLD" h
    ON h.source_key = t.source_key AND h.reason_code = '{UNDONE}' AND h.decision IS NULL
CROSS JOIN LATERAL (
    SELECT p.processed_at + make_interval(secs => %(settle)s) AS ask_from
) young
WHERE t.source_key = %(key)s
"""  # noqa: S608 (the part is a constant)
_MISSING = """
SELECT source_key FROM "CORE"."CORE_EXCEPTION"
WHERE kind = 'ledger_missing' AND closed_at IS NULL ORDER BY id
"""
# Only what still is as it was when Fineract was asked.
_UNDO_OUTCOME = f"""
UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
SET status = 'failed', run_id = 'repost', external_id = nullif(%(external_id)s, source_key),
    error_code = %(found)s, error_text = %(why)s, fineract_transaction_id = NULL,
    processed_at = clock_timestamp(), ledger_checked_at = NULL
WHERE source_key = %(key)s AND processed_at = %(processed_at)s AND NOT {_RULED_OUT}
"""  # noqa: S608 (the part is a constant)
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
                there = await see_it_gone(client, connection, payment)
                theirs = of_other_money(payment, there, other_money)
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
    if payment is None or not (payment["is_posted"] or payment["is_held"]):
        raise NotReposted("it is neither recorded as posted nor as undone in Fineract")
    # Money that was given back may come once more, as of a dispute that was won.
    if not (payment["is_repayment"] or (payment["is_posted"] and payment["is_given_back"])):
        raise NotReposted("it is no repayment any more, see the exceptions")
    if payment["is_young"]:
        when = at(payment["ask_from"])
        raise NotReposted(f"it was posted only just now: ask again from {when}")
    return payment


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
        audit.record(connection, who, "payment.repost", key, **told)
    is_recon, is_held = payment["recon_source"] is not None, not payment["is_repayment"]
    return Reposted(external_id, is_new, is_recon, is_held)
