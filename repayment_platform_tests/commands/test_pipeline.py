"""`./run pipeline`: real Dagster runs, recorded as the schedule's are, on landed files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from repayment_platform.landing.files import ingest_file
from repayment_platform.sample_data.folder import LOANS, TRUTH
from repayment_platform.sample_data.generate import generate
from repayment_platform.sample_data.truth import compare, read
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import Commands
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.databases import TODAY
from repayment_platform_tests.dbt_once import play

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 payments of all sources, as files."""
    folder = tmp_path_factory.mktemp("sample")
    generate(folder, 120, 3, TODAY)
    return folder


@pytest.fixture
def database_urls(built_urls: DatabaseUrls) -> DatabaseUrls:
    return built_urls


@pytest.fixture
def landed(database_urls: DatabaseUrls, sandbox: Sandbox, sample: Path) -> Iterator[DatabaseUrls]:
    """The sample has landed and its loans exist; nothing is transformed or posted yet."""
    loans = json.loads((sample / LOANS).read_text())
    sandbox.post("loans", loans)
    for source in SOURCES.values():
        for file in sorted((sample / source.table).iterdir()):
            if source.kind is Kind.FILE:
                ingest_file(database_urls.psycopg, file, source.table, received_by="test")
    return database_urls


def rows(connection: Connection, query: str) -> list[Any]:
    return connection.execute(query).fetchall()


def test_a_run_builds_and_posts_one_with_nothing_new_leaves_dbt_out_one_after_a_decision_builds(
    run_with_fineract: Commands,
    landed: DatabaseUrls,
    connection: Connection,
    sandbox: Sandbox,
    sample: Path,
) -> None:
    results = sandbox.home / "dbt" / "run_results.json"
    first_run = run_with_fineract("pipeline")
    assert first_run.code == 0, first_run.stderr
    first = results.stat().st_mtime_ns
    assert compare(read(sample / TRUTH), sandbox.get("ledger")) == []

    assert run_with_fineract("pipeline").code == 0

    assert results.stat().st_mtime_ns == first
    materialized = "SELECT count(*) FROM dagster.event_logs "
    materialized += "WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND asset_key LIKE '%s'"
    assert rows(connection, materialized % "%core_transaction_data%") == [(2,)]
    assert rows(connection, materialized % "%posted_repayments%") == [(2,)]
    connection.execute(
        'INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) '
        'SELECT min(source_key), \'loan mapped\' FROM "CORE"."CORE_TRANSACTION_DATA"'
    )
    assert run_with_fineract("pipeline").code == 0
    assert results.stat().st_mtime_ns > first
    assert compare(read(sample / TRUTH), sandbox.get("ledger")) == []


def test_a_dry_run_shows_the_queue_and_changes_neither_database_nor_ledger(
    run_with_fineract: Commands, landed: DatabaseUrls, connection: Connection, sandbox: Sandbox
) -> None:
    play(landed)
    before = contents(connection)

    shown = run_with_fineract("pipeline", "--dry-run")

    for word in ("ARTHMATE", "UGRO", "nothing was changed"):
        assert word in shown.stdout
    assert contents(connection) == before
    assert sandbox.get("ledger") == []


def test_skipping_dbt_posts_what_core_holds_and_the_operators_statements_are_right(
    run_with_fineract: Commands,
    landed: DatabaseUrls,
    connection: Connection,
    sandbox: Sandbox,
    sample: Path,
) -> None:
    play(landed)
    assert run_with_fineract("pipeline", "--skip-dbt").code == 0

    assert compare(read(sample / TRUTH), sandbox.get("ledger")) == []
    processed = rows(
        connection,
        'SELECT source_lender, status, COUNT(*) FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" '
        "GROUP BY source_lender, status ORDER BY 1, 2",
    )
    assert {lender for lender, _, _ in processed} == {"ARTHMATE", "DMI", "IKF", "SHIVALIK"}
    posted = sum(times for _, status, times in processed if status == "success")
    assert posted == len(sandbox.get("ledger"))
    unposted = rows(
        connection,
        'SELECT t.source_lender, COUNT(*) FROM "CORE"."CORE_TRANSACTION_DATA" t '
        'LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p '
        "ON t.source_key = p.source_key AND p.status = 'success' "
        "WHERE t.is_success = true AND t.loan_external_id IS NOT NULL AND p.source_key IS NULL "
        "AND t.recon_source IS NULL GROUP BY t.source_lender",
    )
    open_work = rows(
        connection,
        'SELECT source_lender, COUNT(*) FROM "CORE"."CORE_OPEN_WORK" '
        "WHERE recon_source IS NULL GROUP BY source_lender",
    )
    assert sorted(unposted) == sorted(open_work)
    recon = rows(
        connection,
        'SELECT DISTINCT source_lender FROM "CORE"."CORE_TRANSACTION_DATA" '
        "WHERE recon_source IS NOT NULL ORDER BY 1",
    )
    assert recon == [("GB",), ("UGRO",), ("VIVRITI",)]


def contents(connection: Connection) -> list[Any]:
    """A digest of every table of ours and of Dagster's runs."""
    tables = rows(
        connection,
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname IN ('RAW', 'CORE') OR (schemaname, tablename) = ('dagster', 'runs') "
        "ORDER BY 1",
    )
    digest = "SELECT '{0}', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {0} t"
    return rows(connection, " UNION ALL ".join(digest.format(name) for (name,) in tables))
