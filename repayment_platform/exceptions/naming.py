"""A person's word on whose loan a payment is, where no report names one.

What belongs here: recording that word (CORE_LOAN_MAPPING, which dbt reads), and another one after
it. What does not: which loans it may be of (`reconciliation.loans`), finding a loan where a source
states it, what becomes of the payment's key (dbt's macros).
"""

import re
from typing import Any

from psycopg import Connection

from repayment_platform.exceptions.comparison import compare
from repayment_platform.exceptions.refold import fold_again
from repayment_platform.sources.registry import LENDERS
from repayment_platform.warehouse import audit

LONGEST_LOAN = 60
_PAYMENT = """
SELECT source_lender, payment_ref, loan_external_id, first_raw_id
FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s
"""
# The loans that its reports name themselves.
_STATED = """
SELECT DISTINCT o.loan_external_id
FROM "CORE"."CORE_PAYMENT_KEY" k
JOIN "CORE"."CORE_OBSERVATION" o ON o.raw_table = k.raw_table AND o.raw_id = k.raw_id
WHERE k.source_key = %s AND o.loan_external_id IS NOT NULL ORDER BY 1
"""
# The row is written and not only locked, so that a run that is about to claim it sees that it may
# not.
_KEEP_BACK = """
UPDATE "CORE"."CORE_OPEN_WORK"
SET state = 'held', reason = 'its loan was corrected', updated_at = now()
WHERE source_key = ANY (%s) AND state IN ('waiting', 'deferred', 'held', 'failed')
RETURNING source_key
"""
_OPEN = 'SELECT source_key FROM "CORE"."CORE_OPEN_WORK" WHERE source_key = ANY (%s) FOR UPDATE'
# Each word on one of its reports is corrected: they are of one payment.
_MAP_ANEW = """
UPDATE "CORE"."CORE_LOAN_MAPPING" m
SET loan_external_id = %(loan)s, mapped_by = %(who)s, mapped_why = %(why)s, mapped_at = now()
FROM "CORE"."CORE_PAYMENT_KEY" k
WHERE k.source_key = %(key)s
  AND (m.payment_ref IN (k.payment_ref, k.order_ref)
       OR m.raw_id = coalesce(k.replaces_id, k.raw_id))
RETURNING m.payment_ref
"""
# An order can have several payments, and a word on it is about each.
_OF_THE_ORDER = """
SELECT DISTINCT source_key FROM "CORE"."CORE_PAYMENT_KEY" k
JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
WHERE k.order_ref = ANY (%s) AND k.rule <> 'provisional' AND source_key <> %s
"""
_MAP = """
INSERT INTO "CORE"."CORE_LOAN_MAPPING"
    (payment_ref, raw_id, loan_external_id, mapped_by, mapped_why)
VALUES (%(ref)s, %(row)s, %(loan)s, %(who)s, %(why)s)
"""
# What asked for the loan is answered, wherever it was named.
_ANSWERED = """
UPDATE "CORE"."CORE_EXCEPTION"
SET decision = 'name_loan', closed_by = %(who)s, closed_why = %(why)s
WHERE source_key = %(key)s AND kind = 'loan_unknown' AND closed_at IS NULL
"""


class NotMappable(Exception):
    """This payment takes no loan from an operator; the message says why."""


def map_loan(connection: Connection[Any], source_key: str, loan: str, who: str, why: str) -> None:
    """Say which loan a payment belongs to; it can be posted after the next dbt run.

    As long as no report names another, it can be said anew: the later word counts. Until dbt has
    taken it up the payment is held; what is posted becomes an exception that asks to undo it.

    Raises:
        NotMappable: the payment or its loan allows none, or the loan's id is no id of its lender.
    """
    with connection.transaction():
        # First: what dbt makes of an earlier word at this moment is waited for, and read below.
        fold_again(connection, source_key, "loan mapped")
        row = connection.execute(_PAYMENT, (source_key,)).fetchone()
        if row is None:
            raise NotMappable(f"there is no payment {source_key}")
        lender, payment_ref, known, first_row = row
        loan = _loan_of(lender, loan)
        stated = [name for (name,) in connection.execute(_STATED, (source_key,))]
        if known is not None and stated not in ([], [loan]):
            raise NotMappable(f"the loan of this payment is known: {' and '.join(stated)}")
        at_row = None if payment_ref else first_row
        named = {"ref": payment_ref, "row": at_row, "loan": loan, "who": who, "why": why}
        named |= {"key": source_key}
        _keep_back(connection, [source_key])
        mapped = [ref for (ref,) in connection.execute(_MAP_ANEW, named)]
        if not mapped:
            connection.execute(_MAP, named)
        others = [key for (key,) in connection.execute(_OF_THE_ORDER, (mapped, source_key))]
        _keep_back(connection, others)
        for key in others:
            fold_again(connection, key, "loan of its order mapped")
        connection.execute(_ANSWERED, named)
        compare(connection, [source_key, *others])
        facts = {"payment_ref": payment_ref, "loan": loan, "why": why, "before": known}
        facts |= {"of_the_order": others} if others else {}
        audit.record(connection, who, "loan.map", source_key, **facts)


def _loan_of(lender: str, loan: str) -> str:
    loan = loan.strip().upper()
    pattern = LENDERS[lender].loan_id_pattern
    if len(loan) > LONGEST_LOAN or not re.fullmatch(pattern, loan, re.ASCII):
        raise NotMappable(f"{loan!r} is no loan id of {lender}")
    return loan


def _keep_back(connection: Connection[Any], keys: list[str]) -> None:
    kept = connection.execute(_KEEP_BACK, (keys,)).fetchall()
    if len(kept) < len(connection.execute(_OPEN, (keys,)).fetchall()):
        raise NotMappable("it is on its way to Fineract: look again in a few minutes")
