"""Payments whose loan nobody named: which loans it may be of.

What belongs here: candidates with their evidence. What does not: recording the choice
(`exceptions.naming`), finding a loan id where a source states it (dbt's macros).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from repayment_platform.exceptions.naming import NotMappable
from repayment_platform.sources.registry import LENDERS

EVIDENCE = {
    "utr": "reported with the same bank reference",
    "umrn": "paid under the same NACH mandate",
    "text": "its number stands in the payment's own texts",
    "customer": "paid by the same customer of the gateway",
    "upi": "paid from the same UPI address",
    "phone": "paid with the same phone number",
    "amount": "paid the same amount before",
}
"""What speaks for a loan, the strongest first."""
MOST_BY_AMOUNT = 5

_BY_PAYER = """
SELECT r.loan_external_id, array_agg(DISTINCT split_part(mark, ':', 1)),
       count(DISTINCT r.source_key)::integer
FROM "CORE"."CORE_RECON_RECORD" t
JOIN "CORE"."CORE_RECON_RECORD" r
  ON r.payer_marks && t.payer_marks AND r.source_lender = t.source_lender
CROSS JOIN LATERAL unnest(r.payer_marks) mark
WHERE t.source_key = %s AND r.loan_external_id IS NOT NULL AND mark = ANY (t.payer_marks)
GROUP BY 1
"""
_BY_AMOUNT = f"""
SELECT r.loan_external_id, ARRAY['amount'], count(*)::integer
FROM "CORE"."CORE_RECON_RECORD" t
JOIN "CORE"."CORE_RECON_RECORD" r USING (source_lender, amount)
WHERE t.source_key = %s AND r.loan_external_id IS NOT NULL
GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT {MOST_BY_AMOUNT}
"""  # noqa: S608 - a number of this module
_KNOWN_LOANS = """
SELECT loan_external_id, ARRAY['text'], count(*)::integer FROM "CORE"."CORE_TRANSACTION_DATA"
WHERE source_lender = %s AND loan_external_id = ANY (%s) GROUP BY 1
"""
_LENDER = 'SELECT source_lender FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s'
_RAW_ROWS = 'SELECT raw_table, raw_id FROM "CORE"."CORE_PAYMENT_KEY" WHERE source_key = %s'
# Where people write a loan's number; amounts, ids and phone numbers stand under other names.
_TELLING = re.compile(
    r"note|desc|receipt|reference|remark|narration|purpose|tag|loan|order_?id|link_?id", re.I
)
_NUMBER = re.compile(r"(?<!\d)\d{3,9}(?!\d)")
_LONGEST_LOAN_NUMBER = 9


@dataclass(frozen=True)
class Candidate:
    """A loan that a payment may belong to."""

    loan: str
    evidence: tuple[str, ...]
    """In words, the strongest first."""
    payments: int
    """Payments of the loan that speak for it."""


def candidates(connection: Connection[Any], source_key: str) -> list[Candidate]:
    """Loans of the payment's lender that something speaks for, the best first.

    Raises:
        NotMappable: there is no such payment.
    """
    row = connection.execute(_LENDER, (source_key,)).fetchone()
    if row is None:
        raise NotMappable(f"there is no payment {source_key}")
    [lender] = row
    numbers = sorted(set(_spellings(lender, _texts(connection, source_key))))
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for query, parameters in (
        (_BY_PAYER, (source_key,)),
        (_KNOWN_LOANS, (lender, numbers)),
        (_BY_AMOUNT, (source_key,)),
    ):
        for loan, kinds, payments in connection.execute(query, parameters):
            found[loan] |= dict.fromkeys(kinds, payments)
    ranked = sorted(found, key=lambda loan: (-_weight(found[loan]), loan))
    return [
        Candidate(
            loan,
            tuple(words for kind, words in EVIDENCE.items() if kind in found[loan]),
            max(found[loan].values()),
        )
        for loan in ranked
    ]


def _weight(kinds: dict[str, int]) -> int:
    """The strongest evidence decides, more of it adds to that."""
    order = list(EVIDENCE)
    return sum(2 ** (len(order) - order.index(kind)) for kind in kinds)


def _texts(connection: Connection[Any], source_key: str) -> Iterator[str]:
    """What the sources say of the payment where a loan may be named."""
    for table, raw_id in connection.execute(_RAW_ROWS, (source_key,)).fetchall():
        query = sql.SQL("SELECT to_jsonb(raw) FROM {} raw WHERE id = %s").format(
            sql.Identifier("RAW", table)
        )
        row = connection.execute(query, (raw_id,)).fetchone()
        said = row[0] if row else {}
        yield from _telling(said.get("payload") or said.get("cells"), told=False)
        yield said.get("loan_ref") or ""


def _telling(value: Any, *, told: bool) -> Iterator[str]:
    """The texts below keys that may hold a loan's number."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _telling(inner, told=told or bool(_TELLING.search(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _telling(inner, told=told)
    elif told and isinstance(value, str | int):
        yield str(value)


def _spellings(lender: str, texts: Iterator[str]) -> Iterator[str]:
    """Loan ids of the lender with a number of the texts, with any zeros before it."""
    prefix = LENDERS[lender].loan_id_pattern.removesuffix("[0-9]+")
    for text in texts:
        for number in _NUMBER.findall(text):
            digits = number.lstrip("0")
            for width in range(len(digits), _LONGEST_LOAN_NUMBER + 1):
                yield prefix + digits.zfill(width)
