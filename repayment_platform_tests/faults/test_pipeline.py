"""The pipeline as processes that are killed, doubled and repeated."""

import os
import signal
import time

import httpx
import pytest

from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import API_PATH
from repayment_platform_tests.faults.conftest import Installation

pytestmark = pytest.mark.timeout(300)


def test_a_pipeline_killed_in_the_middle_posts_the_rest_once_when_run_again_at_once(
    installation: Installation,
) -> None:
    killed = installation.start("pipeline")
    wait_for_postings(installation, 10)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    some = len(installation.ledger())

    installation.run("pipeline")

    assert 10 <= some < len(installation.ledger())
    assert installation.differences() == []
    assert installation.sql(
        'SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE settled_at IS NULL'
    ) == [["0"]]
    assert installation.sql("SELECT status, count(*) FROM dagster.runs GROUP BY 1 ORDER BY 1") == [
        ["FAILURE", "1"],
        ["SUCCESS", "1"],
    ]


def test_a_pipeline_with_nothing_new_leaves_dbt_out_and_one_after_a_decision_builds(
    installation: Installation,
) -> None:
    results = installation.home / "dbt" / "run_results.json"
    installation.run("pipeline")
    first = results.stat().st_mtime_ns

    installation.run("pipeline")

    assert results.stat().st_mtime_ns == first
    materialized = "SELECT count(*) FROM dagster.event_logs "
    materialized += "WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key LIKE '%s'"
    assert installation.sql(materialized % "%core_transaction_data%") == [["2"]]
    assert installation.sql(materialized % "%posted_repayments%") == [["2"]]
    installation.sql(
        'INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) '
        'SELECT min(source_key), \'loan mapped\' FROM "CORE"."CORE_TRANSACTION_DATA" RETURNING 1'
    )
    installation.run("pipeline")
    assert results.stat().st_mtime_ns > first
    assert installation.differences() == []


def test_two_pipelines_at_once_post_every_payment_once(installation: Installation) -> None:
    both = [installation.start("pipeline") for _ in range(2)]
    outputs = [process.communicate(timeout=240)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert installation.differences() == []


def test_a_pipeline_without_fineract_ends_with_one_error_and_the_next_posts_everything(
    installation: Installation,
) -> None:
    root = f"http://127.0.0.1:{installation.sandbox_port}"
    real = {"FINERACT_BASE_URL": root + API_PATH, "FINERACT_ALLOWED_HOSTS": "127.0.0.1"}
    os.kill(httpx.get(f"{root}/sandbox/health").json()["pid"], signal.SIGKILL)

    down = installation.start("pipeline", **real)
    output, _ = down.communicate(timeout=180)

    assert down.returncode == 1
    assert output.count("no connection to Fineract") == 1, output
    processed = 'SELECT count(*) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    assert installation.sql(processed) == [["0"]]
    with running_sandbox(installation.home, installation.sandbox_port):
        up = installation.start("pipeline", "--skip-dbt", **real)
        output, _ = up.communicate(timeout=180)
        assert up.returncode == 0, output
        assert installation.differences() == []


def test_a_dry_run_shows_the_queue_and_changes_neither_database_nor_ledger(
    installation: Installation,
) -> None:
    installation.run("dbt", "build")
    before = contents(installation)

    output = installation.run("pipeline", "--dry-run")

    for word in ("ARTHMATE", "UGRO", "nothing was changed"):
        assert word in output
    assert contents(installation) == before
    assert installation.ledger() == []


def test_skipping_dbt_posts_what_core_holds_and_the_operators_statements_are_right(
    installation: Installation,
) -> None:
    installation.run("dbt", "build")
    installation.run("pipeline", "--skip-dbt")

    assert installation.differences() == []
    processed = installation.sql(
        'SELECT source_lender, status, COUNT(*) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" '
        "GROUP BY source_lender, status ORDER BY 1, 2"
    )
    assert {lender for lender, _, _ in processed} == {"ARTHMATE", "DMI", "IKF", "SHIVALIK"}
    posted = sum(int(times) for _, status, times in processed if status == "success")
    assert posted == len(installation.ledger())
    unposted = installation.sql(
        'SELECT t.source_lender, COUNT(*) FROM "CORE"."CORE_TRANSACTION_DATA" t '
        'LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p '
        "ON t.source_key = p.source_key AND p.status = 'success' "
        "WHERE t.is_success = true AND t.loan_external_id IS NOT NULL AND p.source_key IS NULL "
        "AND t.recon_source IS NULL GROUP BY t.source_lender"
    )
    open_work = installation.sql(
        'SELECT source_lender, COUNT(*) FROM "CORE"."CORE_OPEN_WORK" '
        "WHERE recon_source IS NULL GROUP BY source_lender"
    )
    assert sorted(unposted) == sorted(open_work)
    recon = installation.sql(
        'SELECT DISTINCT source_lender FROM "CORE"."CORE_TRANSACTION_DATA" '
        "WHERE recon_source IS NOT NULL ORDER BY 1"
    )
    assert recon == [["GB"], ["UGRO"], ["VIVRITI"]]


def wait_for_postings(installation: Installation, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(installation.ledger()) < count:
        assert time.monotonic() < deadline, "nothing was posted"
        time.sleep(0.02)


def contents(installation: Installation) -> list[list[str]]:
    """A digest of every table of ours and of Dagster's runs."""
    tables = installation.sql(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname IN ('RAW', 'CORE') OR (schemaname, tablename) = ('dagster', 'runs') "
        "ORDER BY 1"
    )
    digest = "SELECT '{0}', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {0} t"
    return installation.sql(" UNION ALL ".join(digest.format(name) for (name,) in tables))
