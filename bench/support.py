"""What every benchmark stands on: a scratch database, a sandbox, a table to print.

What belongs here: making and removing them. What does not: what is measured.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import Settings
from repayment_platform.warehouse.dbt import run_dbt
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls


@contextmanager
def scratch_home() -> Iterator[Path]:
    """A folder for all state of a benchmark, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


@contextmanager
def scratch_database(home: Path) -> Iterator[DatabaseUrls]:
    """An embedded PostgreSQL below `home` (fsync on), with every table and model, empty."""
    with warehouse(Settings(_env_file=None, repayment_home=home)) as urls:
        migrate(urls)
        dbt_command(urls, home, "run")
        yield urls


def copy_of(urls: DatabaseUrls, name: str) -> DatabaseUrls:
    """A further database with the same in it, on the same server."""
    copy = urls.with_database(name)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(urls.dbname)
    )
    with psycopg.connect(urls.with_database("postgres").psycopg, autocommit=True) as connection:
        connection.execute(statement)
    return copy


def dbt_command(urls: DatabaseUrls, home: Path, *arguments: str) -> Path:
    """A dbt command in a process of its own, its output in `<home>/dbt.log`; returns the folder
    of its artifacts."""
    target = home / "dbt" / urls.dbname
    with (home / "dbt.log").open("a") as log, _stdout_into(log.fileno()):
        if run_dbt(urls, arguments, target):
            raise SystemExit(f"dbt failed:\n{Path(log.name).read_text()[-3000:]}")
    return target


@contextmanager
def _stdout_into(descriptor: int) -> Iterator[None]:
    """What child processes print goes there meanwhile."""
    sys.stdout.flush()
    former = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(former, 1)
        os.close(former)


@contextmanager
def sandbox(home: Path, latency_ms: int, loans: Sequence[str]) -> Iterator[Settings]:
    """A sandbox process with these loans; yields settings that post to it."""
    settings = Settings(
        _env_file=None,
        repayment_home=home / f"sandbox-{latency_ms}",
        sandbox_port=free_port(),
        fineract_timeout_seconds=20,
        fineract_settle_seconds=30,
    )
    with running_sandbox(settings.home, settings.sandbox_port, latency_ms):
        root = f"http://127.0.0.1:{settings.sandbox_port}"
        for start in range(0, len(loans), 5000):
            body = [
                {"externalId": loan, "principal": "900000000"}
                for loan in loans[start : start + 5000]
            ]
            httpx.post(f"{root}/sandbox/loans", json=body, timeout=60).raise_for_status()
        yield settings


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def seconds_of(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def machine() -> str:
    """Processor and cores, for the reader of the numbers."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    [model] = {line.partition(": ")[2] for line in lines if line.startswith("model name")}
    load = os.getloadavg()[0]
    commit = subprocess.run(
        ("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=False
    )
    return f"{model}, {os.cpu_count()} cores, load {load:.1f}; {commit.stdout.strip()}"


def show(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table in Markdown, so that it can be copied as it is."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for number, row in enumerate(cells):
        padded = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("| " + " | ".join(padded) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(flush=True)
