"""How long a payment takes from its landing to the ledger, with FAST_POSTING.

    .venv/bin/python -m bench.fast_path [--payments 20] [--every 20] [--latency 20]

Starts `./run up` with FAST_POSTING in a scratch home, lands one payment after another at random
times (a row of an automated lender, as the receiver or the loader commits it), and compares the
time stamps of both ends, which are the database's.

What belongs here: the way through Dagster's sensor, queue and run. What does not: how the steps
of a run scale (`idle_run`, `refresh`, `posting`).
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from bench.support import free_port, machine, scratch_home, show
from repayment_platform.settings import ROOT
from repayment_platform.warehouse.embedded import EmbeddedServer

PORTS = ("DAGSTER_PORT", "CODE_SERVER_PORT", "WEBHOOK_PORT", "OPS_PORT", "METRICS_PORT")
LAND = """
INSERT INTO "RAW"."RAW_ARTHMATE_NACH_CSV" (file_id, row_number, cells, loan_ref, payment_date,
    amount, outcome)
VALUES (1, %(n)s, '{}', 'ARTH-LN-' || %(n)s, current_date - 3, 1000 + %(n)s, 'success')
"""
POSTED = """
SELECT extract(epoch FROM p.processed_at - r.landed_at)::float
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
JOIN "RAW"."RAW_ARTHMATE_NACH_CSV" r ON r.loan_ref = p.loan_external_id
WHERE p.status = 'success'
"""
PATIENCE_SECONDS = 300


@contextmanager
def platform_up(home: Path, latency_ms: int) -> Iterator[str]:
    """`./run up` with the fast path; yields the address of the database."""
    sandbox_port = free_port()
    environment = os.environ | {name: str(free_port()) for name in PORTS}
    environment |= {
        "REPAYMENT_HOME": str(home),
        "REPAYMENT_ENV_FILE": os.devnull,
        "SANDBOX_PORT": str(sandbox_port),
        "SANDBOX_LATENCY_MS": str(latency_ms),
        "FAST_POSTING": "true",
    }
    command = (sys.executable, "-m", "repayment_platform.cli", "up")
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        said = iter(process.stdout or ())
        if not any(line.startswith("Ctrl-C") for line in said):
            raise SystemExit("the platform did not start")
        loans = [{"externalId": f"ARTH-LN-{n}"} for n in range(1000)]
        url = f"http://127.0.0.1:{sandbox_port}/sandbox/loans"
        httpx.post(url, json=loans, timeout=60).raise_for_status()
        yield EmbeddedServer(home).urls().psycopg
    finally:
        process.terminate()
        process.wait(120)


def seconds_to_the_ledger(conninfo: str, payments: int, every: float) -> list[float]:
    """Of each payment: from its commit in RAW to the record of its posting."""
    rng = random.Random(1)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for number in range(payments):
            connection.execute(LAND, {"n": number})
            time.sleep(rng.expovariate(1 / every))
        patience = time.monotonic() + PATIENCE_SECONDS
        while len(found := connection.execute(POSTED).fetchall()) < payments:
            if time.monotonic() > patience:
                raise SystemExit(f"{len(found)} of {payments} were posted")
            time.sleep(1)
    return sorted(seconds for (seconds,) in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payments", type=int, default=20)
    parser.add_argument("--every", type=float, default=20, help="seconds, on average")
    parser.add_argument("--latency", type=int, default=20, help="ms")
    options = parser.parse_args()
    print(machine(), flush=True)
    with scratch_home() as home, platform_up(home, options.latency) as conninfo:
        time.sleep(30)  # the daemon has looked at every sensor once
        seconds = seconds_to_the_ledger(conninfo, options.payments, options.every)
    values = (seconds[0], statistics.median(seconds), seconds[-1])
    show(("payments", "shortest", "median", "longest"),
         [(len(seconds), *(f"{value:.1f} s" for value in values))])  # fmt: skip


if __name__ == "__main__":
    main()
