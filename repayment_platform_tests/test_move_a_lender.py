"""A lender that is posted otherwise than before: what is open goes the new way, by the real dbt."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repayment_platform.posting.guards import set_guards
from repayment_platform.posting.model import Selection
from repayment_platform.posting.proof import nothing_unaccounted
from repayment_platform.posting.runner import run_posting
from repayment_platform.reconciliation import requests, running
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.selection import Selection as Chosen
from repayment_platform.settings import ROOT
from repayment_platform_tests.conftest import Sandbox, settings_of
from repayment_platform_tests.dbt_once import run_dbt_here
from repayment_platform_tests.transformation.conftest import models
from repayment_platform_tests.transformation.warehouse import Warehouse

__all__ = ["models"]
REGISTRY = Path("repayment_platform/sources/registry.py")
GB, IKF = "RAW_GB_NACH_CSV", "RAW_IKF_NACH_CSV"
OPEN = """
SELECT loan_external_id, recon_source, state, reason FROM "CORE"."CORE_OPEN_WORK" ORDER BY 1
"""
RECORDS = 'SELECT loan_external_id FROM "CORE"."CORE_RECON_RECORD" ORDER BY 1'
REFOLDED = 'SELECT source_key, batch, reason FROM "CORE"."CORE_REFOLD" ORDER BY 1'


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A copy of the project in which GB is posted automatically and IKF by reconciliation."""
    copy = tmp_path / "project"
    made = shutil.ignore_patterns("__pycache__", "target", "logs", "generated")
    for folder in ("repayment_platform", "dbt_project", "deploy"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=made)
    text = (copy / REGISTRY).read_text()
    for lender, former, now in (("GB", "RECON", "AUTOMATED"), ("IKF", "AUTOMATED", "RECON")):
        entry = rf'(Lender\("{lender}", "{lender}", PostingMode\.){former}'
        text, count = re.subn(entry, rf"\1{now}", text)
        assert count == 1
    (copy / REGISTRY).write_text(text)
    return copy


def build(project: Path, models: Warehouse) -> None:
    """Run the dbt of a copy of the project, as its operators do."""
    environment = os.environ | {
        "PYTHONPATH": str(project),
        "DATABASE_URL": models.urls.psycopg,
        "FINERACT_BASE_URL": "sandbox",
        "REPAYMENT_HOME": str(project / "home"),
    }
    command = (sys.executable, "-P", "-m", "repayment_platform.cli", "dbt", "run")
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.whole
@pytest.mark.timeout(400)
def test_what_is_open_of_a_lender_that_is_posted_otherwise_goes_the_new_way(
    models: Warehouse, sandbox: Sandbox, moved: Path
) -> None:
    settings, connection = settings_of(models.urls, sandbox), models.connection
    names = ("GB-LN-1", "GB-LN-2", "IKF-LN-1", "IKF-LN-2")
    sandbox.post("loans", [{"externalId": name} for name in names])

    def post(run_id: str, selection: Selection) -> None:
        run_posting(settings, models.urls.psycopg, selection, run_id)

    def ledger() -> list[str]:
        return sorted(row["loanExternalId"] for row in sandbox.get("ledger"))

    def rows(query: str) -> list[tuple[object, ...]]:
        return connection.execute(query.encode()).fetchall()

    models.file_row(GB, "GB-LN-1", ref="G1")
    models.file_row(IKF, "IKF-LN-1", ref="I1")
    models.build_all()
    post("before", Selection(("IKF",)))
    assert ledger() == ["IKF-LN-1"]
    set_guards(connection, "IKF", {"paused": True}, "asha")
    models.file_row(GB, "GB-LN-2", ref="G2")
    models.file_row(IKF, "IKF-LN-2", ref="I2")
    models.build_all()
    post("paused", Selection(("IKF",)))
    keys = {str(row["loan_external_id"]): str(row["source_key"]) for row in models.core()}
    chosen = Chosen(keys=(keys["GB-LN-1"],))
    digest = preview(connection, chosen).digest
    request = requests.create(connection, chosen, digest, "asha", "all", four_eyes=False)
    assert rows(RECORDS) == [("GB-LN-1",), ("GB-LN-2",)]
    posted = [row for row in models.core() if row["loan_external_id"] == "IKF-LN-1"]

    build(moved, models)

    post("moved", Selection(("IKF",)))
    assert rows(OPEN) == [
        ("GB-LN-1", None, "waiting", "to be posted by the next run"),
        ("GB-LN-2", None, "waiting", "to be posted by the next run"),
        ("IKF-LN-2", "NACH", "deferred", "lender paused: no reason given"),
    ]
    assert rows(RECORDS) == [("IKF-LN-2",)]
    assert posted == [row for row in models.core() if row["loan_external_id"] == "IKF-LN-1"]
    assert {reason for _, _, reason in rows(REFOLDED)} == {
        "GB is posted automatically now",
        "IKF is posted by reconciliation now",
    }
    plan = running.begin(connection, request, "recon")
    assert plan.keys == ()
    [left_out] = plan.excluded
    assert (left_out.reason, left_out.payments) == ("of a lender that is posted automatically", 1)
    running.end(connection, request, "recon", {}, failed=False)

    folded = rows(REFOLDED)
    build(moved, models)  # nothing has moved since
    assert rows(REFOLDED) == folded
    set_guards(connection, "IKF", {"paused": False}, "asha")
    post("automated", Selection(("GB", "IKF")))
    assert ledger() == ["GB-LN-1", "GB-LN-2", "IKF-LN-1"]
    assert rows(OPEN) == [("IKF-LN-2", "NACH", "waiting", "awaits reconciliation")]

    assert run_dbt_here(models.urls, "run").success  # back to what it was
    post("back", Selection(("IKF",)))
    assert ledger() == ["GB-LN-1", "GB-LN-2", "IKF-LN-1", "IKF-LN-2"]
    assert rows(OPEN) == rows(RECORDS) == []
    assert nothing_unaccounted(models.urls.psycopg).findings == []
