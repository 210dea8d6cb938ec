"""Payments whose day or amount cannot be right: a person is asked before they are money.

What belongs here: which payments are suspect; the rule itself stands in `implausible.sql`. What
does not: the list of open work (`posting.feed`), decisions, which days are usual of a source
(`sources.registry`).

Most payments are as usual, and to find that costs little: a day is compared, and an amount with the
smallest ones of its lender and its loan. Only of the others it is worked out what is usual.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from repayment_platform.exceptions.comparison import OF_SUSPECTS, kept_back, of_suspects
from repayment_platform.sources.registry import SOURCES

_DAYS = {source.table: source.usual_days for source in SOURCES.values()}

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
SUSPECTS = f"""
    SELECT c.source_key FROM changed c
    LEFT JOIN "CORE"."CORE_LENDER_SETTING" s USING (source_lender)
    WHERE c.eligible AND NOT c.posted AND (c.payment_date < s.post_from) IS NOT TRUE
      AND (c.payment_date > (c.last_landed_at AT TIME ZONE 'Asia/Kolkata')::date
           OR c.payment_date + {min(_DAYS.values())}
              < (c.first_landed_at AT TIME ZONE 'Asia/Kolkata')::date
           OR c.amount >= (SELECT min(amount) FROM least)
           OR (SELECT true FROM "CORE"."CORE_TRANSACTION_DATA" t
               WHERE t.loan_external_id = c.loan_external_id AND t.amount <= c.amount / 50
               LIMIT 1))
"""  # noqa: S608 (the part is a number)

# Payments that a hold or a setting keeps back no more, which may have come to the list unjudged.
UNJUDGED = f"""
SELECT w.source_key FROM "CORE"."CORE_OPEN_WORK" w
WHERE (w.state = 'held' OR w.state = 'deferred' AND w.reason ~ '^(paid before|lender paused)')
  AND NOT EXISTS ({kept_back("w")})
"""  # noqa: S608 (the part is a constant)


async def judge_suspects(connection: AsyncConnection[Any], suspects: Sequence[str]) -> None:
    """Ask about the implausible ones; in the transaction that fed the list."""
    days = {"sources": list(_DAYS), "days": list(_DAYS.values())}
    await connection.execute(OF_SUSPECTS, of_suspects(keys=list(suspects), **days))
