"""How long a posting run takes to find its work, by the number of payments ever posted.

    .venv/bin/python -m bench.finding_work [--rows 50000 5000000] [--new 1000] [--rounds 15]

Two databases on one server, with as many posted payments each as `--rows` says, on 200,000 loans:
in CORE, as outcomes and as attempts; no day or amount is implausible. In each round, in turns,
1,000 new payments appear in CORE, and a connection brings the list of open work up to date and
reads the first page of due payments; they are then recorded as posted. Idle rounds do the same
with nothing new. Medians. `again` is on a connection that has found work before: what the other
takes longer is PostgreSQL's own start, which reads its catalogue anew for each connection. The
operators' anti-join stands beside them.

What belongs here: refreshing the list and its first page. What does not: sending.
"""

import argparse
import asyncio
import statistics
import time
from typing import Any

import psycopg
from psycopg import AsyncConnection

from bench.support import copy_of, machine, scratch_database, scratch_home, seconds_of, show
from repayment_platform.posting.allowance import Allowance
from repayment_platform.posting.feed import refresh
from repayment_platform.posting.model import Selection
from repayment_platform.posting.work import POST_NEW, due_loans, look_up_by_key
from repayment_platform.warehouse.urls import DatabaseUrls

LENDERS = ("ARTHMATE", "DMI", "IKF", "SHIVALIK")
PAYMENTS = """
INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender, loan_external_id,
    payment_date, amount, is_success, payment_ref, outcome, refunded_amount, key_rule,
    observations, sources, first_raw_id, last_raw_id, first_landed_at, last_landed_at, batch)
SELECT md5('payment' || n), lender, lender || '-' || n %% 200000,
       current_date - (n %% 80)::integer, 1000 + n %% 9000, true, lender || ':' || n, 'success', 0,
       'new', 1, ARRAY['RAW'], n, n, now(), now(), n - (n - %(first)s) %% 1000
FROM generate_series(%(first)s::bigint, %(last)s) n,
     LATERAL (SELECT (%(lenders)s::text[])[1 + n %% 4] AS lender)
"""
OUTCOMES = """
INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status,
    loan_external_id, payment_date, amount, payment_ref, fineract_transaction_id, run_id)
SELECT source_key, source_lender, 'success', loan_external_id, payment_date, amount, payment_ref,
       first_raw_id, 'run-' || batch
FROM "CORE"."CORE_TRANSACTION_DATA" WHERE first_raw_id BETWEEN %(first)s AND %(last)s
"""
ATTEMPTS = """
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id,
    payment_date, amount, payment_ref, idempotency_key, run_id, worker, outcome, settled_by,
    settled_at, http_status, resource_id)
SELECT source_key, source_lender, loan_external_id, payment_date, amount, payment_ref,
       md5(source_key), 'run-' || batch, 0, 'success', 'reply', now(), 200, first_raw_id
FROM "CORE"."CORE_TRANSACTION_DATA" WHERE first_raw_id BETWEEN %(first)s AND %(last)s
"""
ALL_READ = """
UPDATE "CORE"."CORE_WORK_FEED"
SET batch = (SELECT max(batch) FROM "CORE"."CORE_TRANSACTION_DATA")
"""
ANTI_JOIN = """
SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
       ON p.source_key = t.source_key AND p.status = 'success'
WHERE p.source_key IS NULL AND t.is_success AND t.loan_external_id IS NOT NULL
  AND t.recon_source IS NULL
"""


class History:
    """A database with many posted payments."""

    def __init__(self, urls: DatabaseUrls, rows: int) -> None:
        self.conninfo = urls.psycopg
        self.newest = 0
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            for start in range(0, rows, 500_000):
                self._appear(connection, min(500_000, rows - start))
                self._record(connection)
            connection.execute(ALL_READ)
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")  # else the writing of all this goes on meanwhile

    def _appear(self, connection: psycopg.Connection[Any], count: int) -> None:
        self.latest = {"first": self.newest + 1, "last": self.newest + count}
        connection.execute(PAYMENTS, self.latest | {"lenders": list(LENDERS)})
        self.newest += count

    def _record(self, connection: psycopg.Connection[Any]) -> None:
        for statement in (OUTCOMES, ATTEMPTS):
            connection.execute(statement, self.latest)

    def round(self, new: int) -> dict[str, float]:
        """Seconds of finding `new` payments and of finding none, each on a connection that has
        just been made, and on one that has found work before."""
        return asyncio.run(self._round(new))

    async def _round(self, new: int) -> dict[str, float]:
        seconds = {}
        for first, then in (("new", "idle"), ("idle", "new")):
            async with await AsyncConnection.connect(self.conninfo, autocommit=True) as connection:
                await look_up_by_key(connection)
                seconds[first] = await self._find(connection, new if first == "new" else 0)
                seconds[f"{then} again"] = await self._find(connection, new if then == "new" else 0)
        return seconds

    async def _find(self, connection: AsyncConnection[Any], new: int) -> float:
        """Seconds of bringing the list up to date and reading the first page of due payments."""
        with psycopg.connect(self.conninfo, autocommit=True) as other:
            if new:
                self._appear(other, new)
            began = time.perf_counter()
            async with connection.transaction():
                await refresh(connection)
            allowance = Allowance(None, {})
            due = due_loans(connection, Selection(LENDERS), "bench", POST_NEW, allowance)
            page = await anext(due, None)
            seconds = time.perf_counter() - began
            if (page is not None) != bool(new):
                raise SystemExit("the work was not found")
            if new:
                self._record(other)
                other.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')
        return seconds

    def anti_join(self) -> float:
        with psycopg.connect(self.conninfo) as connection:
            return seconds_of(lambda: connection.execute(ANTI_JOIN))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 5_000_000])
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(machine(), flush=True)
    with scratch_home() as home, scratch_database(home) as urls:
        histories = {rows: History(copy_of(urls, f"rows_{rows}"), rows) for rows in options.rows}
        rounds = [
            {rows: history.round(options.new) for rows, history in histories.items()}
            for _ in range(options.rounds)
        ]
        anti_joins = {rows: history.anti_join() for rows, history in histories.items()}
    smallest = min(histories)

    def median_ms(rows: int, what: str) -> float:
        return statistics.median(one[rows][what] for one in rounds) * 1000

    lines = []
    for rows in histories:
        line: list[object] = [f"{rows:,}"]
        for what in ("new", "new again", "idle", "idle again"):
            ms = median_ms(rows, what)
            line.append(f"{ms:.1f} ms ({ms / median_ms(smallest, what):.2f} x)")
        lines.append([*line, f"{anti_joins[rows] * 1000:.0f} ms"])
    header = ("posted", f"{options.new} new", "same, again", "idle", "same, again")
    show((*header, "full anti-join"), lines)


if __name__ == "__main__":
    main()
