"""drt-core, the reverse-ETL tool of PyPI, as far as it can do the job.

It cannot do all of it: its REST destination has one URL for a whole sync, and Fineract's URL
names the loan, so a sync posts to one loan only; 2,000 loans would be 2,000 syncs. It sends one
row after another and keeps no intent and no outcome per row, so after a kill nothing tells which
rows were posted. Its speed is measured all the same: one sync of rows of one loan.

What belongs here: its environment, its project, one timed sync. What does not: our engine.
"""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls

PACKAGE = "drt-core[postgres]==1.2.1"
PROJECT = "name: bench\nprofile: bench\n"
PROFILE = """\
bench:
  type: postgres
  host: {host}
  port: {port}
  dbname: {dbname}
  user: {user}
  password: "{password}"
"""
SYNC = """\
name: repayments
model: "SELECT md5('{run}' || n) AS key, n + 100 AS amount FROM generate_series(1, {rows}) n"
destination:
  type: rest_api
  url: {base_url}/loans/external-id/BENCH-0/transactions?command=repayment
  headers:
    Content-Type: application/json
    Fineract-Platform-TenantId: {tenant}
  body_template: >-
    {{"dateFormat": "yyyy-MM-dd", "locale": "en", "transactionDate": "2025-11-01",
    "externalId": "{{{{ row.key }}}}", "transactionAmount": {{{{ row.amount }}}}}}
  native_idempotency_key: "{{{{ row.key }}}}"
  auth: {{type: basic, username_env: DRT_USER, password_env: DRT_PASSWORD}}
sync:
  mode: full
  batch_size: 500
  rate_limit: {{requests_per_second: 100000}}
"""


def rows_per_second(settings: Settings, urls: DatabaseUrls, home: Path, rows: int) -> float:
    """Of one sync, by its own process, less the time that the process takes to start."""
    program = _installed(home)
    project = home / "drt-project"
    (project / "syncs").mkdir(parents=True, exist_ok=True)
    (project / ".drt").mkdir(exist_ok=True)
    (project / "drt_project.yml").write_text(PROJECT)
    database = {name.removeprefix("DBT_").lower(): text for name, text in urls.dbt_env.items()}
    (project / ".drt" / "profiles.yml").write_text(PROFILE.format(**database))
    sync = SYNC.format(
        run=uuid.uuid4(), rows=rows, base_url=settings.base_url, tenant=settings.fineract_tenant
    )
    (project / "syncs" / "repayments.yml").write_text(sync)
    environment = os.environ | {
        "HOME": str(project),
        "DRT_USER": settings.fineract_username,
        "DRT_PASSWORD": settings.fineract_password.get_secret_value(),
    }

    def run(*arguments: str) -> tuple[float, str]:
        began = time.perf_counter()
        command = [str(program), *arguments]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"drt failed:\n{done.stdout}{done.stderr}")
        return time.perf_counter() - began, done.stdout

    start, _ = run("list")
    seconds, said = run("run")
    print(said)
    return rows / (seconds - start)


def _installed(home: Path) -> Path:
    """drt in an environment of its own."""
    environment = home / "drt-environment"
    program = environment / "bin" / "drt"
    if not program.exists():
        subprocess.run((sys.executable, "-m", "venv", environment), check=True)
        pip = (environment / "bin" / "pip", "install", "--quiet", PACKAGE)
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    return program
