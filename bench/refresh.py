"""How long dbt takes to add 1,000 rows, by the number of rows it has already.

    .venv/bin/python -m bench.refresh [--rows 50000 5000000] [--new 1000] [--rounds 5]

Two databases on one server. Both are filled the way the platform fills them, only faster: rows
of four sources (NACH files of two lenders, a lender's payment file that reports payments of one of
these again, Razorpay webhooks) are put into RAW with SQL, and the platform's own dbt run gives
them keys and builds CORE, half a million rows at a time. Then, in turns, 1,000 new rows land,
a fifth of them of payments that are known, and the half-hourly dbt command runs, its data tests
included. Medians of the whole process and of its models and tests, as dbt timed them.

What belongs here: dbt's part of a run. What does not: Dagster's (`idle_run`).
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import psycopg

from bench.support import copy_of, dbt_command, machine, scratch_database, scratch_home, show
from repayment_platform.warehouse.dbt import BUILD, NIGHTLY_TESTS
from repayment_platform.warehouse.urls import DatabaseUrls

NACH = """
INSERT INTO "RAW"."RAW_{lender}_NACH_CSV" (file_id, row_number, cells, loan_ref, payment_ref,
    payment_date, amount, outcome, umrn)
SELECT n / 10000, n %% 10000, jsonb_build_object('UMRN', 'UTIB' || n, 'Amount', n %% 9000 + 500),
       '{loan}-' || n %% 100000, {ref}, date '2023-01-05' + (n / 100000 * 30)::integer,
       n %% 9000 + 500, CASE WHEN n %% 20 = 0 THEN 'return' ELSE 'success' END, 'UTIB' || n
FROM generate_series(%(first)s::bigint, %(last)s) n WHERE n %% 10 BETWEEN {tenths}
"""
PAYMENT = """
INSERT INTO "RAW"."RAW_DMI_PAYMENT_CSV" (file_id, row_number, cells, loan_ref, payment_ref,
    payment_date, amount, outcome)
SELECT n / 10000, n %% 10000, '{{}}', 'DMI-APP-' || n %% 100000, 'dmi:' || n,
       date '2023-01-06' + (n / 100000 * 30)::integer, n %% 9000 + 500, 'success'
FROM generate_series(%(first)s::bigint, %(last)s) n WHERE n %% 10 = 1 AND n %% 20 <> 0
"""
RAZORPAY = """
INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API" (event_id, event_type, body, payload, headers, signed_by)
SELECT 'evt_' || n, 'payment.captured', convert_to(event::text, 'UTF8'), event, '{{}}', 1
FROM generate_series(%(first)s::bigint, %(last)s) n,
     LATERAL (SELECT jsonb_build_object('event', 'payment.captured', 'payload',
         jsonb_build_object('payment', jsonb_build_object('entity', jsonb_build_object(
             'id', 'pay_' || n, 'amount', (n %% 9000 + 500) * 100, 'currency', 'INR',
             'status', 'captured', 'method', 'upi', 'vpa', 'borrower@bank',
             'notes', jsonb_build_object('loan_id', 'UGRO-LN-' || n %% 100000),
             'acquirer_data', jsonb_build_object('rrn', n), 'created_at', 1672900000 + n * 10
         )))) AS event) e
WHERE n %% 10 >= 7
"""
REPEATED = """
INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API" (event_id, event_type, body, payload, headers, signed_by)
SELECT gen_random_uuid()::text, event_type, body, payload, headers, signed_by
FROM "RAW"."RAW_UGRO_RAZORPAY_API"
WHERE id >= (SELECT min(id) + (random() * (max(id) - min(id)) / 2)::bigint
             FROM "RAW"."RAW_UGRO_RAZORPAY_API")
ORDER BY id LIMIT %(rows)s
"""
SOURCES = (
    NACH.format(lender="DMI", loan="DMI-APP", ref="'nach-dmi:' || n", tenths="0 AND 3"),
    NACH.format(lender="ARTHMATE", loan="ARTH-LN", ref="NULL", tenths="4 AND 6"),
    PAYMENT.format(),
    RAZORPAY.format(),
)
CHUNK = 500_000
HALF_HOURLY = (*BUILD, "--exclude", NIGHTLY_TESTS)


class History:
    """A database with many rows in RAW, keyed, and in CORE."""

    def __init__(self, urls: DatabaseUrls, home: Path, rows: int) -> None:
        self.urls = urls
        self.home = home
        self.newest = 0
        for start in range(0, rows, CHUNK):
            self._land(min(CHUNK, rows - start))
            dbt_command(urls, home, "run")
            with psycopg.connect(urls.psycopg, autocommit=True) as connection:
                connection.execute("VACUUM (ANALYZE)")
        self.round(1)  # dbt keeps what it has parsed

    def _land(self, rows: int) -> None:
        span = {"first": self.newest + 1, "last": self.newest + rows}
        with psycopg.connect(self.urls.psycopg) as connection:
            for statement in SOURCES:
                connection.execute(statement, span)
        self.newest += rows

    def _land_again(self, rows: int) -> None:
        """Gateways repeat themselves: events of payments that are known."""
        with psycopg.connect(self.urls.psycopg) as connection:
            connection.execute(REPEATED, {"rows": rows})

    def round(self, new: int) -> dict[str, float]:
        """Seconds of a dbt run after `new` rows have landed: all of it, and each node's."""
        self._land(new - new // 5)
        self._land_again(new // 5)
        began = time.perf_counter()
        target = dbt_command(self.urls, self.home, *HALF_HOURLY)
        seconds = {"whole process": time.perf_counter() - began}
        for node in json.loads((target / "run_results.json").read_text())["results"]:
            kind, _, name = str(node["unique_id"]).split(".")[:3]
            what = "data tests" if kind == "test" else name
            what = "BASE views" if name.startswith("base_") else what
            seconds[what] = seconds.get(what, 0.0) + node["execution_time"]
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 5_000_000])
    parser.add_argument("--new", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine(), flush=True)
    with scratch_home() as home, scratch_database(home) as urls:
        histories = {}
        for rows in options.rows:
            began = time.perf_counter()
            histories[rows] = History(copy_of(urls, f"rows_{rows}"), home, rows)
            print(f"{rows:,} rows landed and refreshed in {time.perf_counter() - began:.0f} s")
        rounds = [
            {rows: history.round(options.new) for rows, history in histories.items()}
            for _ in range(options.rounds)
        ]
    few, many = min(histories), max(histories)
    lines = []
    for what in rounds[0][few]:
        of_few, of_many = (
            statistics.median(one[rows].get(what, 0) for one in rounds) for rows in (few, many)
        )
        ratio = f"{of_many / of_few:.2f}" if of_few else "-"
        lines.append((what, f"{of_few:.2f} s", f"{of_many:.2f} s", ratio))
    show((f"{options.new} new rows added to", f"{few:,}", f"{many:,}", "times"), lines)


if __name__ == "__main__":
    main()
