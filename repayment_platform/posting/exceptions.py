"""What a person must look at: posted payments that changed since, returns of no payment, and
differences of the ledger.

What belongs here: raising, listing and closing rows of CORE_EXCEPTION. What does not: payments
that were not posted yet (`holds`), asking the ledger (`ledger_proof`), screens.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from repayment_platform.posting.differences import REPORT_DAYS, Difference
from repayment_platform.warehouse.audit import record

AFTER_POSTING = (
    "refunded_after_posting",
    "returned_after_posting",
    "withdrawn_after_posting",
    "changed_after_posting",
)
"""Kinds that name a repayment to undo in Fineract; the look-up that sees it undone closes them."""
CLOSED_BY_UNDOING = tuple(kind for kind in AFTER_POSTING if kind != "changed_after_posting")
"""What changed is still the borrower's money: undone, it is yet to be posted again."""
LEDGER_KINDS = (
    "ledger_missing",
    "ledger_reversed",
    "ledger_amount",
    "ledger_date",
    "ledger_foreign",
)
"""Kinds of differences between the ledger and what we recorded as posted."""

# Of a posting p and its payment t in CORE. A day that is known better later, as when a bank tells
# the settlement of a debit, is the same payment. Only Cashfree tells of a payment by a link before
# it tells its day: what was posted on the day of the event was posted on a wrong one.
CORE_DIFFERS = f"""(NOT t.is_success
        OR (p.loan_external_id, p.amount) IS DISTINCT FROM (t.loan_external_id, t.amount)
        OR p.payment_date IS DISTINCT FROM t.payment_date
           AND (p.payment_date BETWEEN coalesce(t.earliest_day, t.payment_date) - {REPORT_DAYS}
                                   AND t.payment_date + {REPORT_DAYS}
                AND coalesce(t.payment_ref, '') !~ '^cashfree') IS NOT TRUE)"""

# What was closed stays closed until something new is known: another detail, another posting, or
# that what closed it by itself is not so any more.
_NOT_CLOSED_AS_IT_IS = """
WHERE NOT EXISTS (
    SELECT FROM "CORE"."CORE_EXCEPTION" known
    WHERE known.source_key = news.source_key AND known.kind = news.kind
      AND known.detail = news.detail AND known.closed_by
          <> CASE WHEN starts_with(known.kind, 'ledger_') THEN 'look-up' ELSE 'CORE' END
      AND known.closed_at > coalesce((
          SELECT processed_at FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" latest
          WHERE latest.source_key = known.source_key), '-infinity'))
ON CONFLICT (source_key, kind) WHERE closed_at IS NULL DO UPDATE SET detail = EXCLUDED.detail
"""

# For a statement in which `posted` holds payments as they were posted (source_key, source_lender,
# loan_external_id, payment_date, amount, external_id, fineract_transaction_id): those that CORE
# now has otherwise. It has so under the key `told_by`: the payment's own or, with a `why`, one that
# a person ruled the same payment. The detail names the repayment to undo as Fineract has it, with
# its external id where that is not the key.
RAISE_AFTER_POSTING = f"""
INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
SELECT source_key, kind, detail FROM (
    SELECT DISTINCT ON (1, 2) p.source_key,
        CASE WHEN t.is_success THEN 'changed'
             WHEN t.outcome = 'refund' THEN 'refunded'
             WHEN t.outcome = 'late_return' THEN 'returned'
             ELSE 'withdrawn' END || '_after_posting' AS kind,
        jsonb_build_object(
            'what', format('repayment %%s of loan %%s, %%s rupees of %%s, %%s',
                coalesce(p.fineract_transaction_id::text, p.external_id, p.source_key),
                p.loan_external_id, p.amount, p.payment_date,
                CASE WHEN t.is_success THEN format('is now %%s rupees of %%s on loan %%s',
                         t.amount, t.payment_date, coalesce(t.loan_external_id, 'unknown'))
                     WHEN t.outcome = 'refund' AND t.refunded_amount < t.amount
                         THEN format('had %%s rupees refunded', t.refunded_amount)
                     ELSE 'is to be undone: ' || coalesce(p.why, t.not_repayment_reason, t.outcome)
                     END),
            'fineract_transaction_id', p.fineract_transaction_id, 'lender', p.source_lender,
            'loan', p.loan_external_id, 'amount', p.amount, 'date', p.payment_date,
            'refunded', CASE WHEN t.outcome = 'late_return' AND t.refunded_amount = 0
                             THEN t.amount ELSE t.refunded_amount END,
            'now', jsonb_build_object('loan', t.loan_external_id, 'amount', t.amount,
                                      'date', t.payment_date, 'is_repayment', t.is_success),
            'why', coalesce(p.why, t.not_repayment_reason))
            || jsonb_strip_nulls(jsonb_build_object('external_id', p.external_id,
                'told_by', nullif(p.told_by, p.source_key))) AS detail
    FROM posted p JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = p.told_by
    WHERE {CORE_DIFFERS}
    ORDER BY 1, 2, p.why NULLS FIRST
) news
{_NOT_CLOSED_AS_IT_IS}"""  # noqa: S608 (the parts are constants of this module)

# For a statement in which `changed` holds rows of CORE: money that was given back of a payment
# that is not to be found (with no reference, or one that no payment of its loan bears), or in part
# of one that only the refund tells of; or of one that a person ruled the same as another, where
# `twins` does not tell which that is. And successes that no run will post: those that cannot be
# read, were paid in another currency, or stand in an event that is not known. A mandate's
# authorisation or registration (amount 0) is none.
RAISE_UNCLEAR = f"""
INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
SELECT source_key, kind, detail FROM (
    SELECT r.source_key, 'return_without_payment' AS kind,
        jsonb_build_object(
            'what', format('%%s of %%s rupees on %%s for loan %%s: of which payment is not '
                           'clear%%s', replace(r.outcome, '_', ' '), r.amount, r.payment_date,
                           coalesce(r.loan_external_id, 'unknown'),
                           (SELECT '; ' || min(k.because) FROM "CORE"."CORE_PAYMENT_KEY" k
                            WHERE k.source_key = r.source_key AND k.rule = 'provisional')),
            'lender', r.source_lender, 'loan', r.loan_external_id, 'amount', r.amount,
            'date', r.payment_date, 'refunded', r.refunded_amount,
            'payment_ref', r.payment_ref, 'why', r.not_repayment_reason) AS detail
    FROM changed r
    WHERE r.key_rule = 'provisional' AND r.outcome IN ('refund', 'late_return')
          AND (r.payment_ref IS NULL OR r.loan_external_id IS NOT NULL
               OR r.outcome = 'refund' AND r.refunded_amount < r.amount)
       OR r.key_rule = 'provisional' AND r.outcome IN ('return', 'reject', 'failed')
          AND EXISTS (SELECT FROM "CORE"."CORE_PAYMENT_KEY" k
                      WHERE k.source_key = r.source_key AND k.rule = 'provisional'
                        AND k.because IS NOT NULL)
       OR r.source_key IN (SELECT source_key FROM twins WHERE is_unclear)
    UNION ALL
    SELECT r.source_key, 'unreadable_payment',
        jsonb_build_object(
            'what', format('%%s (%%s): %%s', coalesce(r.payment_ref, 'a payment'),
                           r.source_lender, r.not_repayment_reason),
            'lender', r.source_lender, 'loan', r.loan_external_id, 'amount', r.amount,
            'date', r.payment_date, 'payment_ref', r.payment_ref)
    FROM changed r
    WHERE r.key_rule = 'provisional' AND r.outcome = 'success'
          AND r.not_repayment_reason LIKE '%% is missing or unreadable'
    UNION ALL
    SELECT r.source_key, 'no_repayment',
        jsonb_build_object(
            'what', format('%%s (%%s): %%s', coalesce(r.payment_ref, 'a payment'), r.source_lender,
                CASE r.outcome WHEN 'success'
                THEN format('%%s: %%s %%s is not posted as rupees', r.not_repayment_reason,
                            coalesce(r.amount::text, 'an unreadable amount of'),
                            substr(r.not_repayment_reason, length('paid in ') + 1))
                ELSE format('a success of %%s rupees is not posted: %%s',
                            coalesce(r.amount::text, 'an unreadable amount of'),
                            r.not_repayment_reason) END),
            'lender', r.source_lender, 'loan', r.loan_external_id, 'amount', r.amount,
            'date', r.payment_date, 'payment_ref', r.payment_ref)
    FROM changed r
    WHERE NOT r.posted AND NOT r.is_success AND r.amount IS DISTINCT FROM 0
      AND (r.outcome = 'unknown_event'
           OR r.outcome = 'success' AND r.not_repayment_reason LIKE 'paid in %%')
) news
{_NOT_CLOSED_AS_IT_IS}"""  # noqa: S608

# Of a row t of CORE: its reports cannot all be of one payment, which no person has judged yet. A
# decision is good for the reports that it was given for.
UNJUDGED_CONFLICT = """
t.conflict IS NOT NULL AND t.key_rule <> 'provisional'
AND NOT EXISTS (
    SELECT FROM "CORE"."CORE_HOLD" h
    WHERE h.source_key = t.source_key AND h.reason_code = 'conflicting_reports'
      AND h.decision IS NOT NULL AND h.facts @> jsonb_build_object('conflict', t.conflict))"""

# For a statement with the same `posted`: payments of which CORE knows reports of other money. One
# is posted, and nothing else would tell of the others.
RAISE_CONFLICT = f"""
INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
SELECT source_key, kind, detail FROM (
    SELECT t.source_key, 'conflicting_reports' AS kind,
        jsonb_build_object(
            'what', format('%%s was reported with different facts: %%s; posted were %%s rupees'
                           ' of %%s for loan %%s', coalesce(t.payment_ref, 'one payment'),
                           t.conflict, p.amount, p.payment_date, p.loan_external_id),
            'lender', p.source_lender, 'loan', p.loan_external_id, 'amount', p.amount,
            'date', p.payment_date) AS detail
    FROM posted p JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
    WHERE p.told_by = p.source_key AND {UNJUDGED_CONFLICT}
) news
{_NOT_CLOSED_AS_IT_IS}"""  # noqa: S608

CLOSE_SETTLED: tuple[str, ...] = (
    """
    UPDATE "CORE"."CORE_EXCEPTION" e
    SET closed_at = now(), closed_by = 'CORE', closed_why = 'its reports agree'
    FROM "CORE"."CORE_TRANSACTION_DATA" t
    WHERE e.source_key = t.source_key AND e.kind = 'conflicting_reports' AND e.closed_at IS NULL
      AND t.conflict IS NULL
    """,
    """
    UPDATE "CORE"."CORE_EXCEPTION" e
    SET closed_at = now(), closed_by = 'CORE', closed_why = 'its payment was found'
    WHERE e.kind IN ('return_without_payment', 'unreadable_payment', 'no_repayment')
      AND e.closed_at IS NULL
      AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA" t
                      WHERE t.source_key = e.source_key
                        AND NOT (t.is_success AND e.kind <> 'return_without_payment'))
    """,
    f"""
    UPDATE "CORE"."CORE_EXCEPTION" e
    SET closed_at = now(), closed_by = 'CORE', closed_why = 'it is again as it was posted'
    FROM "CORE"."CORE_TRANSACTION_DATA" t
    JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
      ON p.source_key = t.source_key AND p.status = 'success'
    WHERE e.source_key = t.source_key AND e.kind LIKE '%\\_after\\_posting'
      AND e.closed_at IS NULL AND NOT {CORE_DIFFERS}
      AND NOT EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA" told_by
                      WHERE told_by.source_key = e.detail ->> 'told_by'
                        AND told_by.outcome IN ('refund', 'late_return'))
    """,  # noqa: S608 (the part is a constant)
)
"""Statements that close what new facts have settled; they read open exceptions only."""

_CLOSE_UNDONE = """
UPDATE "CORE"."CORE_EXCEPTION"
SET closed_at = now(), closed_by = 'look-up', closed_why = 'it was undone in Fineract'
WHERE closed_at IS NULL AND source_key = ANY (%s) AND kind = ANY (%s)
"""
_NEWS = """
unnest(%(keys)s::text[], %(kinds)s::text[], %(details)s::jsonb[]) AS news (source_key, kind, detail)
"""
_CLOSE_OTHER_DIFFERENCES = f"""
UPDATE "CORE"."CORE_EXCEPTION" e
SET closed_at = now(), closed_by = 'look-up', closed_why = 'the ledger is not so any more'
WHERE e.closed_at IS NULL AND e.source_key = ANY (%(asked)s) AND e.kind = ANY (%(ledger_kinds)s)
  AND NOT EXISTS (
      SELECT FROM {_NEWS}
      WHERE (news.source_key, news.kind, news.detail) = (e.source_key, e.kind, e.detail))
"""  # noqa: S608 (the part is a constant)
_RAISE_DIFFERENCES = f"""
INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
SELECT source_key, kind, detail FROM {_NEWS} {_NOT_CLOSED_AS_IT_IS} RETURNING source_key, kind
"""  # noqa: S608 (the parts are constants)
# What another transaction on the loan asks stays a question.
_CLOSE_REPOSTED = """
UPDATE "CORE"."CORE_EXCEPTION"
SET closed_at = now(), closed_by = %(who)s, closed_why = 'to be posted again: ' || %(why)s
WHERE closed_at IS NULL AND source_key = %(key)s AND kind <> 'ledger_foreign'
"""


async def close_undone(connection: AsyncConnection[Any], keys: Collection[str]) -> None:
    """Close what asked to undo the repayments of these keys: they are undone."""
    await connection.execute(_CLOSE_UNDONE, (list(keys), list(CLOSED_BY_UNDOING)))


async def keep_differences(
    connection: AsyncConnection[Any], asked: Collection[str], found: Sequence[Difference]
) -> list[Difference]:
    """Have the open exceptions of the keys that were asked about be what was found; returns those
    of them that no person has closed as they are.

    One that is otherwise than before is an exception of its own: it is news.
    """
    parameters = {
        "asked": list(asked),
        "ledger_kinds": list(LEDGER_KINDS),
        "keys": [d.posting.key for d in found],
        "kinds": [d.kind for d in found],
        "details": [Jsonb({"loan": d.posting.loan, "what": d.what}) for d in found],
    }
    await connection.execute(_CLOSE_OTHER_DIFFERENCES, parameters)
    cursor = await connection.execute(_RAISE_DIFFERENCES, parameters)
    open_now = set(await cursor.fetchall())
    return [d for d in found if (d.posting.key, d.kind) in open_now]


def close_reposted(connection: Connection[Any], key: str, who: str, why: str) -> None:
    """Close what was to be looked at of a posting that stands no more: it is posted again."""
    connection.execute(_CLOSE_REPOSTED, {"key": key, "who": who, "why": why})


class NoSuchException(LookupError):
    """There is no open exception of that number."""


@dataclass(frozen=True)
class OpenException:
    """Something that a person must look at. `detail` says what to undo: loan, amount (rupees),
    date (Asia/Kolkata), Fineract's transaction id, how much was refunded."""

    id: int
    source_key: str | None
    kind: str
    lender: str | None
    what: str
    detail: dict[str, Any]
    raised_at: datetime


_OPEN = """
SELECT e.id, e.source_key, e.kind, e.detail, e.raised_at, e.detail ->> 'what' AS what,
       coalesce(e.detail ->> 'lender', p.source_lender) AS lender
FROM "CORE"."CORE_EXCEPTION" e
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
WHERE e.closed_at IS NULL ORDER BY e.id
"""
_CLOSE = """
UPDATE "CORE"."CORE_EXCEPTION" SET closed_at = now(), closed_by = %(who)s, closed_why = %(why)s
WHERE id = %(id)s AND closed_at IS NULL RETURNING source_key, kind
"""


def open_exceptions(connection: Connection[Any]) -> list[OpenException]:
    """Every exception that nobody has closed, the oldest first."""
    with connection.cursor(row_factory=class_row(OpenException)) as cursor:
        return cursor.execute(_OPEN).fetchall()


def close(connection: Connection[Any], exception: int, who: str, why: str) -> None:
    """Close an exception, with a row of the audit log.

    Raises:
        NoSuchException: it does not exist or has been closed.
    """
    with connection.transaction():
        parameters = {"id": exception, "who": who, "why": why}
        row = connection.execute(_CLOSE, parameters).fetchone()
        if row is None:
            raise NoSuchException(f"there is no open exception {exception}")
        record(
            connection, who, "exception.close", row[0], exception=exception, kind=row[1], why=why
        )
