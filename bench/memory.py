"""How much memory a posting run takes, by the number of payments that it posts.

    .venv/bin/python -m bench.memory [--rows 2000 50000]

Each run is a process of its own that posts that many payments, five on two loans, to a sandbox
without latency. Its peak is VmHWM of /proc: the most that was ever resident, with all libraries.
Beside it what the process held just before posting.

What belongs here: the memory of posting. What does not: the receiver's (`webhooks`).
"""

import argparse
import multiprocessing
import time
import uuid
from pathlib import Path

import psycopg

from bench.posting import DAY, PAYMENTS
from bench.support import machine, sandbox, scratch_database, scratch_home, show
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.settings import Settings


def resident_mb() -> tuple[float, float]:
    """Of this process: now, and at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    now, most = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def post(settings: Settings, conninfo: str, run: str) -> tuple[int, float, float]:
    """Posts what is due; returns how many, and resident MB before and at most."""
    before, _ = resident_mb()
    summary = run_posting(settings, conninfo, Selection(("DMI",)), run)
    return summary.total("posted"), before, resident_mb()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 50_000])
    options = parser.parse_args()
    print(machine(), flush=True)
    loans = [f"BENCH-{n}" for n in range(max(options.rows) * 2 // 5)]
    lines = []
    with (
        scratch_home() as home,
        scratch_database(home) as urls,
        sandbox(home, 0, loans) as settings,
    ):
        for rows in options.rows:
            run = f"bench-{uuid.uuid4()}"
            with psycopg.connect(urls.psycopg, autocommit=True) as connection:
                facts = {"run": run, "rows": rows, "loans": rows * 2 // 5, "day": DAY}
                connection.execute(PAYMENTS, facts)
            began = time.perf_counter()
            with multiprocessing.get_context("spawn").Pool(1) as process:
                posted, before, most = process.apply(post, (settings, urls.psycopg, run))
            if posted != rows:
                raise SystemExit(f"posted {posted} of {rows}")
            seconds = time.perf_counter() - began
            more = f"{most - before:.1f} MB"
            lines.append(
                (f"{rows:,}", f"{before:.0f} MB", f"{most:.0f} MB", more, f"{seconds:.0f} s")
            )
    show(("payments", "before posting", "peak", "more", "took"), lines)


if __name__ == "__main__":
    main()
