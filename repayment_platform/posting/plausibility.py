"""Payments whose day or amount cannot be right: a person is asked before they are money.

What belongs here: which payments are suspect, and the statements of these holds; the rule itself
stands in `implausible.sql`. What does not: the list of open work (`feed`), decisions (`holds`),
which days are usual of a source (`sources.registry`).

Most payments are as usual, and to find that costs little: a day is compared, and an amount with the
smallest ones of its lender and its loan. Only of the others it is worked out what is usual.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from repayment_platform.posting.work import Connection
from repayment_platform.sources.registry import SOURCES

IMPLAUSIBLE = ("implausible_day", "implausible_amount")
"""Reasons to hold a payment for what it says of itself."""
_DAYS = {source.table: source.usual_days for source in SOURCES.values()}
_TEXT = Path(__file__).with_name("implausible.sql").read_text()
_HOLD = re.sub(r"{{ (\w+) }}", r"%(\1)s", _TEXT.replace("%", "%%"))

# For a statement in which `changed` holds rows of CORE, and whether each is `eligible` and
# `posted`: the least amount of each lender that might be 50 times what is usual of a source.
LEAST_IMPLAUSIBLE = """
    SELECT source_lender, 50 * least(amount, (
        SELECT min(amount) FROM (
            SELECT amount FROM "CORE"."CORE_TRANSACTION_DATA"
            WHERE source_lender = news.source_lender
            ORDER BY coalesce(payment_date, DATE '0001-01-01') DESC, source_key DESC
            LIMIT 200 + news.n
        ) newest WHERE amount > 0)) AS amount
    FROM (SELECT source_lender, min(amount) AS amount, count(*) AS n
          FROM changed WHERE eligible AND NOT posted GROUP BY 1) news
"""
# For the same statement, in which the former is `least`: all that might be implausible. Where a
# payment is 50 times the median, at least one that its loan has paid is so much less.
SUSPECTS = f"""ARRAY(
    SELECT c.source_key FROM changed c
    LEFT JOIN "CORE"."CORE_LENDER_SETTING" s USING (source_lender)
    WHERE c.eligible AND NOT c.posted AND (c.payment_date < s.post_from) IS NOT TRUE
      AND (c.payment_date > (c.last_landed_at AT TIME ZONE 'Asia/Kolkata')::date
           OR c.payment_date + {min(_DAYS.values())}
              < (c.first_landed_at AT TIME ZONE 'Asia/Kolkata')::date
           OR c.amount >= (SELECT min(amount) FROM least)
           OR (SELECT true FROM "CORE"."CORE_TRANSACTION_DATA" t
               WHERE t.loan_external_id = c.loan_external_id AND t.amount <= c.amount / 50
               LIMIT 1)))
"""  # noqa: S608 (the part is a number)

# Payments that a hold or a setting keeps back no more, which may have come to the list unjudged.
UNJUDGED = """
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
LEFT JOIN "CORE"."CORE_LENDER_SETTING" s ON s.source_lender = w.source_lender
WHERE (w.state = 'held' OR w.state = 'deferred' AND w.reason ~ '^(paid before|lender paused)')
  AND (s.paused OR w.payment_date < s.post_from) IS NOT TRUE
  AND (SELECT bool_and(h.decision IS NOT DISTINCT FROM 'release') IS NOT FALSE
       FROM "CORE"."CORE_HOLD" h WHERE h.source_key = w.source_key)
"""

CLOSE_PLAUSIBLE = (
    f"""
    UPDATE "CORE"."CORE_HOLD" h
    SET decision = 'release', decided_by = 'CORE', decided_at = now(), facts = n.facts,
        decided_why = 'it was corrected and is plausible'
    FROM "CORE"."CORE_OPEN_WORK" w,
         LATERAL (SELECT jsonb_build_object('loan', w.loan_external_id, 'amount', w.amount,
                                            'date', w.payment_date) AS facts) n
    WHERE h.reason_code IN {IMPLAUSIBLE} AND h.decision IS NULL
      AND w.source_key = h.source_key AND NOT h.facts @> n.facts
    """,  # noqa: S608 (the part is a constant)
    f"""
    UPDATE "CORE"."CORE_HOLD" h
    SET decision = 'release', decided_by = 'CORE', decided_at = now(),
        decided_why = 'it is no repayment any more'
    FROM "CORE"."CORE_TRANSACTION_DATA" t
    WHERE h.reason_code IN {IMPLAUSIBLE} AND h.decision IS NULL
      AND t.source_key = h.source_key AND NOT t.is_success
    """,  # noqa: S608 (the part is a constant)
)
"""Close what is no question any more. What was changed and is not plausible has been asked anew
with its new facts; what becomes a repayment again is new to the list, and judged anew."""


async def hold_implausible(connection: Connection, suspects: Sequence[str]) -> None:
    """Hold those of the suspects that are implausible; in the transaction that fed the list."""
    parameters = {
        "suspects": list(suspects),
        "sources": list(_DAYS),
        "days": list(_DAYS.values()),
    }
    await connection.execute(_HOLD, parameters)
