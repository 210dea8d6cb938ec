"""A lender is added in the steps of docs/add-a-lender.md, no more, and its rows reach CORE."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repayment_platform.settings import ROOT
from repayment_platform.warehouse.urls import DatabaseUrls

REGISTRY = Path("repayment_platform/sources/registry.py")
MODEL = Path("dbt_project/models/base/base_acme_nach_csv.sql")
SAMPLE = Path("repayment_platform_tests/samples/acme_nach.csv")
ROWS = """\
Acme Finance - NACH response
Loan Account No,Customer Name,UMRN,Value Date,Amount (INR),Status,Reason,Txn Reference
acme-ln-000001/EMI5,A BORROWER,HDFC7011311230001234,06/11/2025,"₹ 1,250.00",PAID,,T1
ACME-LN-000002,B BORROWER,HDFC7011311230001235,06/11/2025,900,RETURNED,Balance Insufficient,T2
ACME-LN-000003,C BORROWER,HDFC7011311230001236,31/11/2025,900,PAID,,T3
"""
IN_CORE = (
    "SELECT loan_external_id, payment_date, amount, is_success, recon_source, payment_ref "
    'FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_lender = \'ACME\' ORDER BY 1'
)


def examples() -> list[str]:
    """The code of the page, in its order."""
    return re.findall(r"```\w+\n(.*?)```", (ROOT / "docs/add-a-lender.md").read_text(), re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, with the lender in it."""
    copy = tmp_path / "project"
    made = shutil.ignore_patterns("__pycache__", "target", "logs", "generated")
    for folder in ("repayment_platform", "dbt_project", "deploy"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=made)
    lender, source, model, *_ = examples()
    registry = (copy / REGISTRY).read_text()
    for place, entry in (("    for lender in (\n", lender), ("_SOURCES = (\n", source)):
        assert registry.count(place) == 1
        registry = registry.replace(place, place + entry)
    (copy / REGISTRY).write_text(registry)
    (copy / MODEL).write_text(model)
    (copy / SAMPLE).parent.mkdir(parents=True)
    (copy / SAMPLE).write_text(ROWS)
    return copy


@pytest.mark.whole
@pytest.mark.timeout(300)
def test_a_lender_is_one_registry_entry_one_model_and_one_sample(
    project: Path, database_urls: DatabaseUrls
) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(project),
        "DATABASE_URL": database_urls.psycopg,
        "FINERACT_BASE_URL": "sandbox",
        "REPAYMENT_HOME": str(project / "home"),
    }

    def run(*arguments: str) -> str:
        command = (sys.executable, "-P", "-m", "repayment_platform.cli", *arguments)
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    landed = " ".join(run("ingest", str(SAMPLE), "--source", "RAW_ACME_NACH_CSV").split())
    assert "rows landed 2" in landed
    assert "BAD_DATE 1" in landed
    run("dbt", "run")
    assert run("sql", "--csv", IN_CORE).splitlines()[1:] == [
        "ACME-LN-000001,2025-11-06,1250.00,True,,nach-acme:T1",
        "ACME-LN-000002,2025-11-06,900.00,False,,nach-acme:T2",
    ]
    waiting = run("pipeline", "--dry-run", "--skip-dbt")
    assert "ACME" in waiting
