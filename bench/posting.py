"""How fast payments are posted, beside what HTTP alone allows and what the old flow did.

    .venv/bin/python -m bench.posting [--rows 5000] [--latency 20 100] [--workers 1 20 50]

`engine` is ours: intent and result of every row durable in PostgreSQL (fsync on), from finding
the work to the last result. `bare httpx` sends equal requests to the same sandbox process with as
many clients and no database: the ceiling. Both take turns; the best of `--turns` is kept, because
others on the machine only ever slow one down. `sequential` sends one row after another over one
connection and records nothing, which is kind to the flow it stands for. `drt` is drt-core of
PyPI. These two, and one worker alone, get `--rows-alone` rows: their rate does not depend on it.

What belongs here: posting speed. What does not: proofs that nothing is posted twice (the tests).
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal

import httpx
import psycopg

from bench import drt
from bench.support import machine, sandbox, scratch_database, scratch_home, show
from repayment_platform.fineract.client import repayment_body
from repayment_platform.fineract.contract import Repayment
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls

DAY = date(2025, 11, 1)
PAYMENTS = """
INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender, loan_external_id,
    payment_date, amount, is_success, payment_ref, outcome, refunded_amount, key_rule,
    observations, sources, first_raw_id, last_raw_id, first_landed_at, last_landed_at, batch)
SELECT md5(%(run)s || n), 'DMI', 'BENCH-' || n %% %(loans)s, %(day)s, 100 + n, true,
       'dmi:' || %(run)s || n, 'success', 0, 'new', 1, '{}', 0, 0, %(day)s, %(day)s,
       (SELECT coalesce(max(batch), 0) + 1 FROM "CORE"."CORE_TRANSACTION_DATA")
FROM generate_series(0, %(rows)s - 1) n
"""


def requests_of(rows: int, loans: int) -> Iterator[list[Repayment]]:
    """The rows as requests under keys never used before, a list for each loan."""
    for loan in range(min(rows, loans)):
        yield [
            Repayment(f"BENCH-{loan}", uuid.uuid4().hex, DAY, Decimal(100 + n))
            for n in range(loan, rows, loans)
        ]


def client_options(settings: Settings) -> dict[str, object]:
    return {
        "auth": (settings.fineract_username, settings.fineract_password.get_secret_value()),
        "headers": {"Fineract-Platform-TenantId": settings.fineract_tenant},
        "timeout": 20,
    }


def request_options(settings: Settings, repayment: Repayment) -> dict[str, object]:
    loan = f"{settings.base_url}/loans/external-id/{repayment.loan_external_id}"
    return {
        "url": f"{loan}/transactions?command=repayment",
        "content": repayment_body(repayment),
        "headers": {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex},
    }


def bare_httpx(settings: Settings, rows: int, loans: int, workers: int) -> float:
    """Rows a second of as many clients as workers, and nothing else."""
    waiting = list(requests_of(rows, loans))

    async def work() -> None:
        async with httpx.AsyncClient(**client_options(settings)) as client:
            while waiting:
                for repayment in waiting.pop():
                    answer = await client.post(**request_options(settings, repayment))
                    answer.raise_for_status()

    async def all_workers() -> None:
        await asyncio.gather(*(work() for _ in range(workers)))

    began = time.perf_counter()
    asyncio.run(all_workers())
    return rows / (time.perf_counter() - began)


def sequential(settings: Settings, rows: int, loans: int) -> float:
    """Rows a second of one client, one row after another."""
    began = time.perf_counter()
    with httpx.Client(**client_options(settings)) as client:
        for of_loan in requests_of(rows, loans):
            for repayment in of_loan:
                client.post(**request_options(settings, repayment)).raise_for_status()
    return rows / (time.perf_counter() - began)


def engine(settings: Settings, conninfo: str, rows: int, loans: int, workers: int) -> float:
    """Rows a second of a posting run that finds these rows new in CORE."""
    run = f"bench-{uuid.uuid4()}"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        facts = {"run": run, "rows": rows, "loans": loans, "day": DAY}
        connection.execute(PAYMENTS, facts)
        connection.execute('ANALYZE "CORE"."CORE_TRANSACTION_DATA"')
    changed = settings.model_copy(update={"posting_workers": workers})
    began = time.perf_counter()
    summary = run_posting(changed, conninfo, Selection(("DMI",)), run)
    seconds = time.perf_counter() - began
    if summary.total("posted") != rows:
        raise SystemExit(f"posted {summary.total('posted')} of {rows}")
    return rows / seconds


def best_in_turns(turns: int, *measures: Callable[[], float]) -> list[float]:
    """The best of each, measured A B A B: what disturbs them disturbs both."""
    rates = [[measure() for measure in measures] for _ in range(turns)]
    return [max(of_one) for of_one in zip(*rates, strict=True)]


def measure_latency(
    settings: Settings, urls: DatabaseUrls, options: argparse.Namespace
) -> list[tuple[object, ...]]:
    """A line of the table for each number of workers."""
    alone = options.rows_alone
    old = sequential(settings, alone, options.loans)
    tool = drt.rows_per_second(settings, urls, options.home, alone) if options.drt else None
    print(
        f"sequential {old:.1f} rows/s; drt-core {f'{tool:.1f}' if tool else 'not run'}", flush=True
    )
    lines: list[tuple[object, ...]] = []
    for workers in options.workers:
        rows = alone if workers == 1 else options.rows
        ours, ceiling = best_in_turns(
            1 if workers == 1 else options.turns,
            lambda rows=rows, w=workers: engine(settings, urls.psycopg, rows, options.loans, w),
            lambda rows=rows, w=workers: bare_httpx(settings, rows, options.loans, w),
        )
        line = (
            *(workers, rows, f"{ours:.0f}", f"{ceiling:.0f}"),
            *(f"{ours / ceiling:.0%}", f"{old:.1f}", f"{ours / old:.1f}"),
            *(f"{tool:.1f}" if tool else "-", f"{ours / tool:.1f}" if tool else "-"),
        )
        lines.append(line)
        print(f"{workers} workers: engine {ours:.0f} rows/s, bare httpx {ceiling:.0f}", flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--loans", type=int, default=2000)
    parser.add_argument("--rows-alone", type=int, default=300)
    parser.add_argument("--latency", type=int, nargs="+", default=[20, 100], help="ms")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 20, 50])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--no-drt", dest="drt", action="store_false")
    options = parser.parse_args()
    print(machine())
    lines: list[tuple[object, ...]] = []
    with scratch_home() as options.home, scratch_database(options.home) as urls:
        loans = [f"BENCH-{n}" for n in range(options.loans)]
        for latency_ms in options.latency:
            with sandbox(options.home, latency_ms, loans) as settings:
                measured = measure_latency(settings, urls, options)
                lines += ((latency_ms, *line) for line in measured)
    header = ("latency ms", "workers", "rows", "engine/s", "bare httpx/s", "of bare")
    show((*header, "sequential/s", "times", "drt/s", "times"), lines)


if __name__ == "__main__":
    main()
