"""Proofs after the fact: nothing was recorded twice, and no eligible payment was forgotten.

What belongs here: questions put to the database, answered in findings that name the payments.
What does not: preventing (indexes, `claims`), asking the ledger (`ledger_proof`), Dagster's asset
checks (`defs`).
"""

import psycopg

from repayment_platform.ledger.findings import FINDINGS_SHOWN, Proof

_TWICE = {
    "outcomes": """
        SELECT source_key, count(*) AS times
        FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE status = 'success'
        GROUP BY source_key HAVING count(*) > 1 LIMIT %(most)s""",
    "attempts": """
        SELECT source_key, count(*) AS times
        FROM "CORE"."CORE_POSTING_ATTEMPT"
        WHERE outcome = 'success' AND undone_at IS NULL
        GROUP BY source_key HAVING count(*) > 1 LIMIT %(most)s""",
    "payment references": """
        SELECT payment_ref AS source_key, count(*) AS times
        FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
        WHERE status = 'success' AND payment_ref IS NOT NULL
        GROUP BY payment_ref HAVING count(*) > 1 LIMIT %(most)s""",
}
# While this unique index stands the database itself refuses a second row, and counting is idle.
_GUARDED_BY = {
    "outcomes": "CORE_TRANSACTION_DATA_PROCESSED_pkey",
    "attempts": "core_posting_attempt_one_key",
    "payment references": "core_processed_ref",
}
_GUARD_STANDS = """
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'CORE' AND c.relname = %s AND i.indisunique AND i.indisvalid)
"""


def nothing_recorded_twice(conninfo: str) -> Proof:
    """No key has two successes, in the outcomes or the attempts, and no reference has two."""
    proof = Proof()
    with psycopg.connect(conninfo) as connection:
        for what, query in _TWICE.items():
            proof.checked += 1
            row = connection.execute(_GUARD_STANDS, (_GUARDED_BY[what],)).fetchone()
            if row and row[0]:
                continue
            proof.findings.append(f"the unique index {_GUARDED_BY[what]} is missing")
            for key, times in connection.execute(query, {"most": FINDINGS_SHOWN}):
                proof.findings.append(f"{key} succeeded {times} times in the {what}")
    return proof


# The operators' own anti-join, set against the engine's list of open work.
_UNACCOUNTED = """
SELECT t.source_key, t.source_lender
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
       ON p.source_key = t.source_key AND p.status = 'success'
LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = t.source_key
WHERE t.is_success AND t.loan_external_id IS NOT NULL AND p.source_key IS NULL
  AND w.source_key IS NULL AND t.batch > %(after)s
  AND t.batch <= (SELECT batch FROM "CORE"."CORE_WORK_FEED")
LIMIT %(most)s
"""
_ACCOUNTED_TWICE = """
SELECT w.source_key, w.source_lender
FROM "CORE"."CORE_OPEN_WORK" w
JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
  ON p.source_key = w.source_key AND p.status = 'success'
LIMIT %(most)s
"""
# The claim would accept none of these: their facts on the list are not those of CORE.
_NO_REPAYMENT = """
SELECT w.source_key, w.source_lender
FROM "CORE"."CORE_OPEN_WORK" w
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA" t USING (source_key)
WHERE w.state NOT IN ('sending', 'unknown', 'awaiting_approval')
  AND (t.source_key IS NULL OR t.batch <= (SELECT batch FROM "CORE"."CORE_WORK_FEED"))
  AND NOT coalesce(t.is_success AND t.loan_external_id IS NOT NULL
      AND (t.loan_external_id, t.payment_date, t.amount, t.payment_ref, t.recon_source)
          IS NOT DISTINCT FROM
          (w.loan_external_id, w.payment_date, w.amount, w.payment_ref, w.recon_source), false)
LIMIT %(most)s
"""


RECENT_BATCHES = 50
"""How many of the latest dbt runs a quick look goes back: about a day."""


def nothing_new_unaccounted(conninfo: str) -> Proof:
    """`nothing_unaccounted` of the latest dbt runs and of what is open; costs nothing for what
    was posted long ago."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute('SELECT batch FROM "CORE"."CORE_WORK_FEED"').fetchone()
    return _nothing_unaccounted(conninfo, after=row[0] - RECENT_BATCHES if row else 0)


def nothing_unaccounted(conninfo: str) -> Proof:
    """Every eligible payment of CORE is posted or on the list of open work, never both, and the
    list holds nothing else. Reads the whole history."""
    return _nothing_unaccounted(conninfo, after=-1)


def _nothing_unaccounted(conninfo: str, after: int) -> Proof:
    proof = Proof()
    questions = {
        _UNACCOUNTED: "is eligible, but neither posted nor on the list of open work",
        _ACCOUNTED_TWICE: "is posted and still on the list of open work",
        _NO_REPAYMENT: "is on the list of open work, but no repayment in CORE, or another one",
    }
    with psycopg.connect(conninfo) as connection:
        for question, wrong in questions.items():
            for key, lender in connection.execute(
                question, {"most": FINDINGS_SHOWN, "after": after}
            ):
                proof.findings.append(f"{key} ({lender}) {wrong}")
        counted = connection.execute('SELECT count(*) FROM "CORE"."CORE_OPEN_WORK"').fetchone()
        proof.checked = counted[0] if counted else 0
    return proof
