"""A person's decisions on what is asked, and a person's own hold.

What belongs here: recording a decision of any kind, and what follows at once. What does not: what
the facts call for (`called.sql`), listing what is open (`queue`), screens.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, LiteralString

from psycopg import Connection

from repayment_platform.exceptions.kinds import (
    ASKED_FIRST,
    DAY_REFUSED,
    GIVEN_BACK,
    KINDS,
    LETS_POST,
    UNDONE,
    Decision,
    Right,
    choices_of,
)
from repayment_platform.exceptions.naming import NotMappable, map_loan
from repayment_platform.exceptions.refold import fold_again
from repayment_platform.warehouse.audit import record


class NoSuchException(LookupError):
    """There is no open exception of that number."""


class NeedsRepost(Exception):
    """A release would send the payment under an external id that Fineract refuses for ever."""


class NotHeld(Exception):
    """The payment was not held; the message says why."""


class NotOfItsKind(Exception):
    """The person cannot take this decision on this kind; it says which, or who."""


class RuledOut(Exception):
    """A release would post nothing: a person has ruled the payment out on another hold."""


class HasChanged(Exception):
    """The payment or the question is not any more what the person saw."""


FACTS_OF_T: LiteralString = """jsonb_build_object(
    'loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date)"""
"""What a decision is about, of a row `t` of CORE_TRANSACTION_DATA."""
SEEN: LiteralString = f"md5(h.words || {FACTS_OF_T}::text)"
"""What a person sees of an exception `h` and its payment `t`; comes back with the decision."""
SEEN_DIGITS = 4
"""So many of it tell that what was seen is another now."""
# What is decided of a held payment is bound to the facts of this moment, which the person has seen.
_DECIDE = f"""
WITH stated AS (
    SELECT h.id, CASE WHEN h.holds THEN {FACTS_OF_T} END AS facts, {SEEN} AS seen
    FROM "CORE"."CORE_EXCEPTION" h LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
    WHERE h.id = %(id)s
)
UPDATE "CORE"."CORE_EXCEPTION" h
SET decision = %(decision)s, closed_by = %(by)s, closed_why = %(why)s,
    -- Of a refund the question is about all that was paid, whatever CORE has of it.
    facts = CASE WHEN h.facts ? 'refunded' THEN coalesce(s.facts, '{{}}') || h.facts
                 ELSE h.facts || coalesce(s.facts, '{{}}') END
FROM stated s
WHERE h.id = s.id AND h.closed_at IS NULL
  AND coalesce(starts_with(s.seen, %(seen)s) AND length(%(seen)s) >= {SEEN_DIGITS}, true)
RETURNING h.source_key, h.facts ->> 'other_key'
"""  # noqa: S608 (the part is a constant)
ASKS_ANEW = [kind.name for kind in KINDS.values() if kind.overrules]
"""Kinds of which a release is the later word on a payment that a person ruled out before."""
# A ruling on money that was given back is not made into its release, which has to be asked for.
_OVERRULE = """
UPDATE "CORE"."CORE_EXCEPTION" ruling
SET decision = h.decision, closed_by = h.closed_by, closed_at = h.closed_at,
    closed_why = format('%%s (instead of %%s by %%s: %%s)', h.closed_why, ruling.decision,
                        ruling.closed_by, ruling.closed_why),
    facts = (ruling.facts - '{outcome,told_by,refunded}'::text[]) || h.facts
FROM "CORE"."CORE_EXCEPTION" h
WHERE h.id = %(id)s AND h.decision = 'release' AND h.kind = ANY (%(asks_anew)s)
  AND ruling.source_key = h.source_key AND ruling.closed_at < h.raised_at
  AND ruling.holds AND ruling.decision IN ('same_payment', 'not_a_repayment')
"""
_RULING = """
SELECT closed_by, decision FROM "CORE"."CORE_EXCEPTION"
WHERE source_key = %s AND decision IN ('same_payment', 'not_a_repayment') LIMIT 1
"""
_HOLD = f"""
INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, holds, words, facts)
SELECT t.source_key, 'by_hand', true, %(reason)s, {FACTS_OF_T}
FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE t.source_key = %(key)s AND (t.is_success OR t.outcome = 'success')
  AND t.key_rule <> 'provisional'
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                  WHERE p.source_key = t.source_key AND p.status = 'success')
ON CONFLICT DO NOTHING
"""  # noqa: S608 (the part is a constant)
_IS_OPEN = """
SELECT kind, source_key, holds, facts FROM "CORE"."CORE_EXCEPTION"
WHERE id = %s AND closed_at IS NULL
"""
# As `unsent` of called.sql: no run sends it, and Fineract has not said whether it stands there.
_UNANSWERED = """
SELECT FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
WHERE t.source_key = %s AND t.loan_external_id IS NOT NULL
  AND coalesce(p.status, 'failed') = 'failed'
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_LEDGER_ANSWER" a
                  WHERE a.source_key = t.source_key AND a.incarnation = "CORE".incarnation()
                    AND a.external_id = coalesce(p.external_id, t.source_key))
"""
# Somebody has put it right there.
_ASK_AGAIN = """
WITH former AS (
    DELETE FROM "CORE"."CORE_LEDGER_ANSWER" WHERE source_key = %s RETURNING source_key
)
INSERT INTO "CORE"."CORE_TO_JUDGE" SELECT source_key FROM former ON CONFLICT DO NOTHING
"""
# The next run sends it under that day. A later day than today is none that anything was posted on.
_NAME_DAY = """
UPDATE "CORE"."CORE_OPEN_WORK"
SET post_on = %(day)s, state = 'waiting', updated_at = now(),
    reason = format('to be posted on %%s, as %%s says', %(day)s::date, %(by)s::text)
WHERE source_key = %(key)s AND state IN ('failed', 'waiting') AND %(day)s > payment_date
  AND %(day)s <= (now() AT TIME ZONE 'Asia/Kolkata')::date
"""


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
    exception: int,
    decision: Decision,
    by: str,
    why: str,
    seen: str | None = None,
    *,
    right: Right = Right.APPROVER,
    day: date | None = None,
    loan: str | None = None,
) -> str | None:
    """Record a decision and its audit row; takes effect with the next run. Returns the payment's
    key, where there is a payment.

    Args:
        seen: the exception's `seen` when the person looked at it, or its first digits; None where
            nobody has looked at it as it is listed.
        right: what the person may do; whoever has the command line has an approver's right.
        day: of Kolkata, to post it on, where the decision names one.
        loan: whose payment it is, where the decision names one.

    Raises:
        NoSuchException: it does not exist or has been decided.
        HasChanged: the words or the facts are others now.
        NeedsRepost: it was undone in Fineract, which a release does not heal.
        NotOfItsKind: another decision is to be taken on this kind, or by another person.
        RuledOut: it was ruled out on another hold, later than this one was made.
    """
    with connection.transaction():
        asked = connection.execute(_IS_OPEN, (exception,)).fetchone()
        if asked is None:
            raise NoSuchException(f"there is no open exception {exception}")
        kind, _, holds, _ = asked
        _refuse_unanswered(connection, asked, decision)
        _refuse_another_kinds(asked, decision, right, day)
        given = {"id": exception, "decision": decision, "by": by, "why": why, "seen": seen}
        row = connection.execute(_DECIDE, given).fetchone()
        if row is None:
            raise HasChanged(f"exception {exception} has changed")
        key, other = row
        told: dict[str, Any] = {} if holds else {"exception": exception, "kind": kind}
        if decision is Decision.POST_ON:
            _name_day(connection, key, day, by)
            told |= {"day": str(day)}
        elif decision is Decision.NAME_LOAN:
            _name_loan(connection, key, loan, by, why)
            told |= {"loan": loan}
        elif holds:
            connection.execute(_OVERRULE, {"id": exception, "asks_anew": ASKS_ANEW})
            if decision in LETS_POST:
                _refuse_if_ruled_out(connection, key)
            fold_again(connection, key, f"exception {exception}: {decision}")
            if decision is Decision.RELEASE and kind == "ledger_differs":
                connection.execute(_ASK_AGAIN, (key,))
            if decision is Decision.SAME_PAYMENT and other:  # which may be gone already
                fold_again(connection, other, f"exception {exception}: another is the same")
        act = f"hold.{decision}" if holds else "exception.close"
        record(connection, by, act, key, **told, why=why)
    return None if key is None else str(key)


def close(connection: Connection[Any], exception: int, by: str, why: str) -> None:
    """Close an exception that may stay as it is.

    Raises:
        NoSuchException: it does not exist, has been closed, or holds a payment.
    """
    try:
        decide(connection, exception, Decision.LEAVE, by, why)
    except NotOfItsKind:
        raise NoSuchException(f"exception {exception} is to be decided, not closed") from None


def _refuse_another_kinds(
    asked: Sequence[Any], decision: Decision, right: Right, day: date | None
) -> None:
    kind, key, holds, facts = asked
    if kind == UNDONE and decision in (Decision.RELEASE, Decision.REPOST):
        raise NeedsRepost(f"it was undone in Fineract: ./run repost {key}")
    choices = {choice.decision: choice for choice in choices_of(kind, holds=holds)}
    if decision not in choices:
        raise NotOfItsKind(f"on {kind} one decides {' or '.join(choices)}")
    if choices[decision].right is Right.APPROVER and right is Right.OPERATOR:
        raise NotOfItsKind(f"on {kind} only an approver decides {decision}")
    if decision is Decision.POST_REST:
        if facts["refunded"] >= facts["amount"]:
            raise NotOfItsKind("nothing of it is left: it was refunded in whole")
        if facts["told_by"] != key:
            raise NotOfItsKind("what was refunded stands with another payment of the same money")
    if decision is Decision.POST_ON:
        if facts["code"] not in DAY_REFUSED:
            raise NotOfItsKind("Fineract did not refuse it for its day")
        if day is None:
            raise NotOfItsKind("name the day to post it on")


def _refuse_unanswered(
    connection: Connection[Any], asked: Sequence[Any], decision: Decision
) -> None:
    kind, key, _, _ = asked
    if kind == ASKED_FIRST:
        raise NotOfItsKind("the next run asks Fineract first: nothing is to be decided before")
    is_for_ever = decision in (Decision.SAME_PAYMENT, Decision.NOT_A_REPAYMENT)
    if kind in GIVEN_BACK and is_for_ever and connection.execute(_UNANSWERED, (key,)).rowcount:
        raise NotOfItsKind(
            "the next run asks Fineract first whether it was posted before: decide after it"
        )


def _name_day(connection: Connection[Any], key: str, day: date | None, by: str) -> None:
    if not connection.execute(_NAME_DAY, {"key": key, "day": day, "by": by}).rowcount:
        raise NotOfItsKind(
            f"{day} is not after the day that Fineract refused, or is yet to come, or the payment"
            " is under way"
        )


def _name_loan(connection: Connection[Any], key: str, loan: str | None, by: str, why: str) -> None:
    try:
        map_loan(connection, key, loan or "", by, why)
    except NotMappable as error:
        raise NotOfItsKind(str(error)) from None


def _refuse_if_ruled_out(connection: Connection[Any], key: str) -> None:
    ruling = connection.execute(_RULING, (key,)).fetchone()
    if ruling is not None:
        raise RuledOut(f"{ruling[0]} decided {ruling[1]} on another hold: hold it anew first")
