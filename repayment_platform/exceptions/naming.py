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
# not. No row comes back while a request is under way.
_KEEP_BACK = """
UPDATE "CORE"."CORE_OPEN_WORK"
SET state = 'held', reason = 'its loan was corrected', updated_at = now()
WHERE source_key = %s AND state IN ('waiting', 'deferred', 'held', 'failed')
"""
_UNDER_WAY = 'SELECT FROM "CORE"."CORE_OPEN_WORK" WHERE source_key = %s FOR UPDATE'
# Each word on one of its reports is corrected: they are of one payment.
_MAP_ANEW = """
UPDATE "CORE"."CORE_LOAN_MAPPING" m
SET loan_external_id = %(loan)s, mapped_by = %(who)s, mapped_why = %(why)s, mapped_at = now()
FROM "CORE"."CORE_PAYMENT_KEY" k
WHERE k.source_key = %(key)s
  AND (m.payment_ref IN (k.payment_ref, k.order_ref)
       OR m.raw_id = coalesce(k.replaces_id, k.raw_id))
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
    row = connection.execute(_PAYMENT, (source_key,)).fetchone()
    if row is None:
        raise NotMappable(f"there is no payment {source_key}")
    lender, payment_ref, known, first_row = row
    loan = loan.strip().upper()
    if len(loan) > LONGEST_LOAN or not re.fullmatch(
        LENDERS[lender].loan_id_pattern, loan, re.ASCII
    ):
        raise NotMappable(f"{loan!r} is no loan id of {lender}")
    stated = [name for (name,) in connection.execute(_STATED, (source_key,))]
    if known is not None and stated not in ([], [loan]):
        raise NotMappable(f"the loan of this payment is known: {' and '.join(stated)}")
    at_row = None if payment_ref else first_row
    named = {"ref": payment_ref, "row": at_row, "loan": loan, "who": who, "why": why}
    named |= {"key": source_key}
    with connection.transaction():
        kept = connection.execute(_KEEP_BACK, (source_key,)).rowcount
        if not kept and connection.execute(_UNDER_WAY, (source_key,)).rowcount:
            raise NotMappable("it is on its way to Fineract: look again in a few minutes")
        if not connection.execute(_MAP_ANEW, named).rowcount:
            connection.execute(_MAP, named)
        fold_again(connection, source_key, "loan mapped")
        connection.execute(_ANSWERED, named)
        compare(connection, [source_key])
        facts = {"payment_ref": payment_ref, "loan": loan, "why": why, "before": known}
        audit.record(connection, who, "loan.map", source_key, **facts)
