"""A whole installation in a home of its own: real processes, embedded PostgreSQL, a sandbox."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.sample_data.folder import LOANS, TRUTH
from repayment_platform.sample_data.generate import generate
from repayment_platform.sample_data.truth import compare, read
from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import ROOT, SANDBOX
from repayment_platform.sources.dates import KOLKATA
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse.embedded import embedded_postgres
from repayment_platform.warehouse.migrate import migrate
from repayment_platform_tests.ports import free_port


@dataclass(frozen=True)
class Installation:
    """Commands run as processes of their own, as a user would."""

    home: Path
    sandbox_port: int

    @property
    def env(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
        return inherited | {
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "REPAYMENT_ENV_FILE": os.devnull,
            "REPAYMENT_HOME": str(self.home),
            "FINERACT_BASE_URL": SANDBOX,
            "SANDBOX_PORT": str(self.sandbox_port),
            "SANDBOX_LATENCY_MS": "30",
        }

    def start(self, *args: str, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            (sys.executable, "-m", "repayment_platform.cli", *args),
            env=self.env | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str, code: int = 0) -> str:
        process = self.start(*args)
        output, _ = process.communicate(timeout=180)
        assert process.returncode == code, output
        return output

    def sql(self, statement: str) -> list[list[str]]:
        said = self.run("sql", "--csv", statement).splitlines()
        return list(csv.reader(line for line in said if not line.startswith("Database: ")))[1:]

    def ledger(self) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.sandbox_port}/sandbox/ledger"
        rows: list[dict[str, Any]] = httpx.get(url).json()
        return rows

    def differences(self) -> list[str]:
        return compare(read(self.home / "sample" / TRUTH), self.ledger())


@pytest.fixture
def installation() -> Iterator[Installation]:
    """120 sample payments landed from files; nothing transformed or posted yet.

    PostgreSQL and the sandbox are held as `./run up` would hold them.
    """
    # Not below pytest's own directory, which every run of pytest closes to the server's user.
    place = Path(tempfile.mkdtemp(prefix="repayment-faults-"))
    home = place / "a home"
    sample = home / "sample"
    sample.mkdir(parents=True)
    generate(sample, 120, 3, datetime.now(KOLKATA).date())  # it lands now
    port = free_port()
    with embedded_postgres(home) as urls, running_sandbox(home, port, 30):
        migrate(urls)
        loans = json.loads((sample / LOANS).read_text())
        httpx.post(f"http://127.0.0.1:{port}/sandbox/loans", json=loans).raise_for_status()
        for source in SOURCES.values():
            for file in sorted((sample / source.table).iterdir()):
                if source.kind is Kind.FILE:
                    ingest_file(urls.psycopg, file, source.table, received_by="test")
        yield Installation(home, port)
    shutil.rmtree(place)
