"""The proof that nothing is silent: of all that was reported somebody knows where it is.

What belongs here: asking whether every report has a payment, and whether every question that the
facts call for is open or was answered. What does not: where payments that are to be posted stand
(`posting.proof`), which questions there are (`called.sql`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import Connection

from repayment_platform.exceptions.comparison import OF_KEYS, UNHEARD, parameters
from repayment_platform.ledger.findings import FINDINGS_SHOWN, Proof

AT_ONCE = 5_000
"""Payments that are compared in one statement."""
RECENT_BATCHES = 5
"""How many of the latest dbt runs a quick look goes back: each is looked at again a few times."""
# Rows up to those that were keyed just before are no news, whatever of them is keyed anew.
_SINCE = """
SELECT f.after, (SELECT coalesce(max(raw_id), 0) FROM (
    SELECT raw_id FROM "CORE"."CORE_PAYMENT_KEY" WHERE batch <= f.after
    ORDER BY batch DESC LIMIT 1000) former)
FROM (SELECT batch - %s AS after FROM "CORE"."CORE_WORK_FEED") f
"""
# What was noted to be judged is on its way.
_PAYMENTS = """
SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA" t
WHERE batch > %s AND batch <= (SELECT batch FROM "CORE"."CORE_WORK_FEED")
  AND NOT EXISTS (SELECT FROM "CORE"."CORE_TO_JUDGE" j WHERE j.source_key = t.source_key)
"""
_OPEN = """
SELECT source_key, kind FROM "CORE"."CORE_EXCEPTION"
WHERE closed_at IS NULL AND source_key = ANY (%s)
"""


def nothing_new_silent(conninfo: str) -> Proof:
    """`nothing_silent` of the reports and payments of the latest dbt runs."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(_SINCE, (RECENT_BATCHES,)).fetchone()
    after, first_row = row or (-1, 0)
    return _nothing_silent(conninfo, after, first_row)


def nothing_silent(conninfo: str) -> Proof:
    """Every report that was read has its payment in CORE, nothing is held without a question, no
    success is left out unasked, and every question that the facts of a payment call for is open
    or was answered. Reads the whole history."""
    return _nothing_silent(conninfo, -1, 0)


def _nothing_silent(conninfo: str, after: int, first_row: int) -> Proof:
    proof = Proof()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        about = {"after": after, "first_row": first_row, "most": FINDINGS_SHOWN}
        proof.findings += [what for (what,) in connection.execute(UNHEARD, about)]
        keys = [key for (key,) in connection.execute(_PAYMENTS, (after,))]
        for start in range(0, len(keys), AT_ONCE):
            proof.findings += _unasked(connection, keys[start : start + AT_ONCE])
        proof.checked = len(keys)
    return proof


def _unasked(connection: Connection[Any], keys: Sequence[str]) -> Iterator[str]:
    """The questions that the comparison would open now; what it does is undone."""
    with connection.transaction(force_rollback=True):
        is_open = set(connection.execute(_OPEN, (list(keys),)).fetchall())
        called = connection.execute(OF_KEYS, parameters(keys=list(keys))).fetchall()
    of_these = set(keys)
    for key, kind in called:
        if key in of_these and (key, kind) not in is_open:
            yield f"{key}: {kind} is called for, and nobody is asked"
