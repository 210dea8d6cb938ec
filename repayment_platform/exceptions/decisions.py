"""Held payments and a person's decisions on them.

What belongs here: listing open holds, recording a decision, a person's own hold. What does not:
what the facts call for (`called.sql`), what is asked about posted payments (`queue`), screens.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import class_row

from repayment_platform.exceptions.kinds import KINDS, UNDONE, Decision, Right, choices_of
from repayment_platform.warehouse.audit import record


class NoSuchHold(LookupError):
    """There is no open hold of that number."""


class NeedsRepost(Exception):
    """A release would send the payment under an external id that Fineract refuses for ever."""


class NotHeld(Exception):
    """The payment was not held; the message says why."""


class NotOfItsKind(Exception):
    """The person cannot take this decision on this kind; it says which, or who."""


class RuledOut(Exception):
    """A release would post nothing: a person has ruled the payment out on another hold."""


class HoldChanged(Exception):
    """The payment or the reason for its hold is not any more what the person saw."""


@dataclass(frozen=True)
class Hold:
    """A payment that waits for a person, and why. Rupees; dates of Asia/Kolkata."""

    id: int
    source_key: str
    lender: str | None
    loan: str | None
    amount: Decimal | None
    reason_code: str
    reason: str
    held_at: datetime
    seen: str
    """A digest of the reason and of the facts, for the decision: `decide` asks whether it is still
    about them."""


FACTS_OF_T: LiteralString = """jsonb_build_object(
    'loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date)"""
"""What a decision is about, of a row `t` of CORE_TRANSACTION_DATA."""
SEEN: LiteralString = f"md5(h.words || {FACTS_OF_T}::text)"
"""What a person sees of a hold `h` and its payment `t`, to be given back with the decision."""
SEEN_DIGITS = 4
"""So many of it tell that what was seen is another now."""
_OPEN = f"""
SELECT h.id, h.source_key, t.source_lender AS lender, t.loan_external_id AS loan, t.amount,
       h.kind AS reason_code, h.words AS reason, h.raised_at AS held_at, {SEEN} AS seen
FROM "CORE"."CORE_EXCEPTION" h
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
WHERE h.holds AND h.decision IS NULL ORDER BY h.id
"""  # noqa: S608 (the part is a constant)
# The release is bound to the facts of this moment, which are what the person has seen.
_DECIDE = f"""
WITH stated AS (
    SELECT h.id, {FACTS_OF_T} AS facts, {SEEN} AS seen
    FROM "CORE"."CORE_EXCEPTION" h LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
    WHERE h.holds AND h.id = %(id)s
)
UPDATE "CORE"."CORE_HOLD" h
SET decision = %(decision)s, decided_by = %(by)s, decided_why = %(why)s, decided_at = now(),
    facts = h.facts || s.facts
FROM stated s
WHERE h.id = s.id AND h.decision IS NULL
  AND coalesce(starts_with(s.seen, %(seen)s) AND length(%(seen)s) >= {SEEN_DIGITS}, true)
RETURNING h.source_key, h.facts ->> 'other_key'
"""  # noqa: S608 (the part is a constant)
ASKS_ANEW = [kind.name for kind in KINDS.values() if kind.overrules]
"""Kinds of which a release is the later word on a payment that a person ruled out before."""
# A ruling on money that was given back is not made into its release, which has to be asked for.
_OVERRULE = """
UPDATE "CORE"."CORE_HOLD" ruling
SET decision = h.decision, decided_by = h.decided_by, decided_at = h.decided_at,
    decided_why = format('%%s (instead of %%s by %%s: %%s)', h.decided_why, ruling.decision,
                         ruling.decided_by, ruling.decided_why),
    facts = (ruling.facts - '{outcome,told_by,refunded}'::text[]) || h.facts
FROM "CORE"."CORE_HOLD" h
WHERE h.id = %(id)s AND h.decision = 'release' AND h.reason_code = ANY (%(asks_anew)s)
  AND ruling.source_key = h.source_key AND ruling.decided_at < h.held_at
  AND ruling.decision IN ('same_payment', 'not_a_repayment')
"""
_RULING = """
SELECT decided_by, decision FROM "CORE"."CORE_HOLD"
WHERE source_key = %s AND decision IN ('same_payment', 'not_a_repayment') LIMIT 1
"""
_HOLD = f"""
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT t.source_key, 'by_hand', %(reason)s, {FACTS_OF_T}
FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE t.source_key = %(key)s AND (t.is_success OR t.outcome = 'success')
  AND t.key_rule <> 'provisional'
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                  WHERE p.source_key = t.source_key AND p.status = 'success')
ON CONFLICT DO NOTHING
"""  # noqa: S608 (the part is a constant)
_IS_OPEN = (
    'SELECT reason_code, source_key FROM "CORE"."CORE_HOLD" WHERE id = %s AND decision IS NULL'
)
# Batch 0 is what the next run of dbt takes up.
_FOLD_AGAIN = """
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) VALUES (%s, %s)
ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = EXCLUDED.reason
"""


def fold_again(connection: Connection[Any], key: str, why: str) -> None:
    """Have the next run of dbt make the payment's row of CORE anew."""
    connection.execute(_FOLD_AGAIN, (key, why))


def open_holds(connection: Connection[Any]) -> list[Hold]:
    """Every hold that nobody has decided, the oldest first."""
    with connection.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(_OPEN).fetchall()


def hold(connection: Connection[Any], key: str, by: str, why: str) -> None:
    """Keep a payment from being posted until a person decides, with an audit row.

    Of one that a person ruled out by mistake this asks anew: the release of it is the later word.
    A request that is under way is not stopped.

    Raises:
        NotHeld: it is no payment that could be posted, or is held by hand already.
    """
    with connection.transaction():
        facts = {"key": key, "reason": f"{by} says: {why}"}
        if not connection.execute(_HOLD, facts).rowcount:
            raise NotHeld("it is posted, or no repayment, or held by hand already")
        record(connection, by, "hold.by_hand", key, why=why)


def decide(
    connection: Connection[Any],
    hold: int,
    decision: Decision,
    by: str,
    why: str,
    seen: str | None = None,
    *,
    right: Right = Right.APPROVER,
    reposting: bool = False,
) -> str:
    """Record a decision and its audit row; takes effect with the next run. Returns the key.

    Args:
        seen: the hold's `seen` when the person looked at it, or its first digits; None where
            nobody has looked at it as it is listed.
        right: what the person may do; whoever has the command line has an approver's right.
        reposting: the release is part of a repost.

    Raises:
        NoSuchHold: it does not exist or has been decided.
        HoldChanged: the reason or the facts are others now.
        NeedsRepost: it was undone in Fineract, which a release does not heal.
        NotOfItsKind: another decision is to be taken on this kind.
        RuledOut: it was ruled out on another hold, later than this one was made.
    """
    with connection.transaction():
        held = connection.execute(_IS_OPEN, (hold,)).fetchone()
        if held is not None:
            _refuse_another_kinds(held[0], held[1], decision, right, reposting=reposting)
        facts = {"id": hold, "decision": decision, "by": by, "why": why, "seen": seen}
        row = connection.execute(_DECIDE, facts).fetchone()
        if row is None:
            if connection.execute(_IS_OPEN, (hold,)).fetchone() is not None:
                raise HoldChanged(f"the payment of hold {hold} has changed")
            raise NoSuchHold(f"there is no open hold {hold}")
        connection.execute(_OVERRULE, {"id": hold, "asks_anew": ASKS_ANEW})
        if decision is Decision.RELEASE and not reposting:
            _refuse_if_ruled_out(connection, str(row[0]))
        fold_again(connection, row[0], f"hold {hold}: {decision}")
        if decision is Decision.SAME_PAYMENT and row[1]:  # which may be gone already
            fold_again(connection, row[1], f"hold {hold}: another is the same")
        record(connection, by, f"hold.{decision}", row[0], why=why)
    return str(row[0])


def _refuse_another_kinds(
    kind: str, key: str, decision: Decision, right: Right, *, reposting: bool
) -> None:
    if kind == UNDONE and decision in (Decision.RELEASE, Decision.REPOST):
        if reposting:
            return
        raise NeedsRepost(f"it was undone in Fineract: ./run repost {key}")
    choices = {choice.decision: choice for choice in choices_of(kind)}
    if decision not in choices:
        raise NotOfItsKind(f"on {kind} one decides {' or '.join(choices)}")
    if choices[decision].right is Right.APPROVER and right is Right.OPERATOR:
        raise NotOfItsKind(f"on {kind} only an approver decides {decision}")


def _refuse_if_ruled_out(connection: Connection[Any], key: str) -> None:
    ruling = connection.execute(_RULING, (key,)).fetchone()
    if ruling is not None:
        raise RuledOut(f"{ruling[0]} decided {ruling[1]} on another hold: hold it anew first")
