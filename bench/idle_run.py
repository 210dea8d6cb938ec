"""What a whole run costs: with nothing new, beside a bare `dbt build`, and with 1,000 rows.

    .venv/bin/python -m bench.idle_run [--rows 1000] [--rounds 5] [--latency 20]

`./run pipeline` with nothing new and `dbt build` of the same models and tests take turns, each a
process of its own, against a database, a sandbox and parsed dbt files that are there already;
medians. The first run after dbt was started by hand builds the models though nothing is new. Then
rows of an automated lender's NACH file land, and a run posts them. Where its seconds go is read
from Dagster's event log and dbt's own timing.

What belongs here: whole runs. What does not: how the parts scale (`refresh`, `finding_work`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
from dagster import DagsterInstance

from bench.support import dbt_command, machine, sandbox, scratch_home, show
from repayment_platform.commands.platform import platform
from repayment_platform.settings import ROOT, Settings
from repayment_platform.warehouse.dbt import BUILD, NIGHTLY_TESTS
from repayment_platform.warehouse.urls import DatabaseUrls

LAND = """
INSERT INTO "RAW"."RAW_ARTHMATE_NACH_CSV" (file_id, row_number, cells, loan_ref, payment_date,
    amount, outcome)
SELECT 1, n, '{}', 'ARTH-LN-' || n, current_date - 3, 1000 + n, 'success'
FROM generate_series(1, %(rows)s) n
"""
WORDS = {"dbt": "dbt step", "posted_repayments": "posting step"}


def pipeline(settings: Settings) -> tuple[float, float]:
    """Runs `./run pipeline`; returns when it began and when it had ended."""
    environment = os.environ | {
        "REPAYMENT_HOME": str(settings.home),
        "SANDBOX_PORT": str(settings.sandbox_port),
    }
    began = time.time()
    command = (sys.executable, "-m", "repayment_platform.cli", "pipeline")
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"pipeline failed:\n{done.stdout}{done.stderr}")
    return began, time.time()


def where_the_seconds_went(began: float, ended: float, target: Path) -> dict[str, float]:
    """The seconds of the latest run: before it, each step, after it, and dbt's nodes."""
    with DagsterInstance.get() as instance:
        [run] = instance.get_runs(limit=1)
        entries = instance.all_logs(run.run_id)
    times = [
        (entry.timestamp, entry.dagster_event.event_type_value, entry.dagster_event.step_key)
        for entry in entries
        if entry.dagster_event
    ]
    seconds = {"start: imports, definitions, Dagster": times[0][0] - began}
    starts = {step: at for at, what, step in times if what == "STEP_START"}
    for at, what, step in times:
        if what == "STEP_SUCCESS" and step:
            seconds[WORDS.get(step, f"check {step}")] = at - starts[step]
    seconds["end: report, shutdown"] = ended - times[-1][0]
    seconds["whole run"] = ended - began
    results = target / "run_results.json"
    if results.stat().st_mtime < began:
        return seconds  # dbt was left out
    nodes = json.loads(results.read_text())
    for node in sorted(nodes["results"], key=lambda node: -node["execution_time"])[:5]:
        seconds[f"dbt: {node['unique_id'].split('.')[2]}"] = node["execution_time"]
    seconds["dbt: all nodes, side by side"] = nodes["elapsed_time"]
    return seconds


def bare_dbt(settings: Settings, urls: DatabaseUrls) -> float:
    began = time.perf_counter()
    dbt_command(urls, settings.home, *BUILD, "--exclude", NIGHTLY_TESTS)
    return time.perf_counter() - began


def measure(settings: Settings, urls: DatabaseUrls, options: argparse.Namespace) -> None:
    target = settings.home / "dbt"
    pipeline(settings)
    bare_dbt(settings, urls)
    idle, built, bare = [], [], []
    for _ in range(options.rounds):
        bare.append(bare_dbt(settings, urls))
        # dbt was started by hand, so the next run of the pipeline builds, with nothing new.
        built.append(where_the_seconds_went(*pipeline(settings), target))
        idle.append(where_the_seconds_went(*pipeline(settings), target))
    with psycopg.connect(urls.psycopg) as connection:
        connection.execute(LAND, {"rows": options.rows})
    busy = where_the_seconds_went(*pipeline(settings), target)
    with psycopg.connect(urls.psycopg) as connection:
        query = 'SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
        if connection.execute(query).fetchone() != (options.rows,):
            raise SystemExit("not all rows were posted")
    columns = (medians(idle), medians(built), busy)
    whole, alone = columns[0]["whole run"], statistics.median(bare)
    print(f"idle run {whole:.2f} s, bare dbt build {alone:.2f} s: {whole / alone:.2f} times\n")
    lines = [
        (name, *(f"{seconds[name]:.2f} s" if name in seconds else "" for seconds in columns))
        for name in dict.fromkeys(name for seconds in columns for name in seconds)
    ]
    header = ("where the seconds go", "nothing new", "and after dbt by hand")
    show((*header, f"{options.rows} rows"), lines)


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in runs for name in one)
    return {name: statistics.median(one[name] for one in runs if name in one) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=int, default=20, help="ms")
    options = parser.parse_args()
    print(machine(), flush=True)
    loans = [f"ARTH-LN-{n}" for n in range(1, options.rows + 1)]
    with (
        scratch_home() as home,
        sandbox(home, options.latency, loans) as settings,
        platform(settings) as urls,
    ):
        measure(settings, urls, options)


if __name__ == "__main__":
    main()
