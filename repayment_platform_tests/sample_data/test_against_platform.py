"""What the platform makes of the sample is what the truth says, worked out apart from it."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from repayment_platform.landing.files import ingest_file
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.sample_data.deliver import Counts
from repayment_platform.sample_data.generate import generate
from repayment_platform.sample_data.truth import compare, read
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.dbt_once import play
from repayment_platform_tests.sample_data.conftest import TODAY

AUTOMATED = Selection(("ARTHMATE", "DMI", "IKF", "SHIVALIK"))
# Each payment of CORE in the words of the truth; `due` is one that a run must try to post.
STATES = """
SELECT
    t.source_lender,
    CASE
        WHEN NOT t.is_success THEN 'not_a_payment'
        WHEN t.loan_external_id IS NULL THEN 'no_loan'
        WHEN h.source_key IS NOT NULL THEN 'held'
        WHEN t.recon_source IS NOT NULL THEN 'recon'
        ELSE 'due'
    END AS state,
    t.amount::text
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_HOLD" h ON h.source_key = t.source_key AND h.decision IS NULL
"""
OUTCOMES = """
SELECT source_lender, status, error_code FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
"""


def test_the_platform_agrees_with_the_truth_whatever_arrives_first(
    settings: Settings,
    sandbox: Sandbox,
    database_urls: DatabaseUrls,
    send_webhooks: Callable[[Path], Counts],
    tmp_path: Path,
) -> None:
    """Everything arrives here in the reverse of the usual order: webhooks, then the last files."""
    root = tmp_path / "sample"
    root.mkdir()
    generate(root, 400, 11, TODAY)
    told = read(root / "truth.json")
    loans = (root / "loans.json").read_bytes()
    sandbox.post("loans", json.loads(loans))

    send_webhooks(root)
    for file in reversed(told["files"]):
        path = root / file["source"] / file["name"]
        ingest_file(database_urls.psycopg, path, file["source"], received_by="test")
    play(database_urls)

    with psycopg.connect(database_urls.psycopg) as connection:
        assert payments(connection.execute(STATES).fetchall()) == expected(told)
        run_posting(settings, database_urls.psycopg, AUTOMATED, "run-1")
        ledger = sandbox.get("ledger")
        assert compare(told, ledger) == []
        outcomes = Counter(connection.execute(OUTCOMES).fetchall())
    tried = [entry for entry in told["payments"] if entry["state"] in ("success", "failed")]
    assert outcomes == Counter((e["lender"], e["state"], e.get("code")) for e in tried)


def payments(rows: list[Any]) -> Counter[Any]:
    """What is money received; of other observations CORE may keep more rows than the truth."""
    return Counter(row for row in rows if row[1] != "not_a_payment")


def expected(told: Mapping[str, Any]) -> Counter[Any]:
    words = {"success": "due", "failed": "due"}
    return payments(
        [(e["lender"], words.get(e["state"], e["state"]), e["amount"]) for e in told["payments"]]
    )
