"""The asset graph, jobs and schedule that Dagster shows."""

import subprocess
import sys

import dagster as dg
import pytest

from repayment_platform.definitions import defs
from repayment_platform.sources.registry import SOURCES
from repayment_platform.warehouse.urls import DatabaseUrls


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


def test_the_code_location_loads_in_a_fresh_interpreter_without_a_database() -> None:
    program = "from repayment_platform.definitions import defs; defs().resolve_asset_graph()"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_every_raw_table_leads_through_base_and_core_to_posted_repayments(
    loaded: dg.Definitions,
) -> None:
    graph = loaded.resolve_asset_graph()
    posted = dg.AssetKey("posted_repayments")

    above, waiting = set(), [posted]
    while waiting:
        parents = graph.get(waiting.pop()).parent_keys
        waiting += parents - above
        above |= parents

    assert {dg.AssetKey(["RAW", table]) for table in SOURCES} <= above
    bases = {f"base_{table.lower().removeprefix('raw_')}" for table in SOURCES}
    assert {dg.AssetKey(["BASE", base]) for base in bases} <= above
    assert graph.get(posted).parent_keys == {dg.AssetKey(["CORE", "core_transaction_data"])}


def test_no_asset_is_dangling_and_all_stand_in_the_groups_of_the_lineage(
    loaded: dg.Definitions,
) -> None:
    graph = loaded.resolve_asset_graph()
    assert {node.group_name for node in graph.asset_nodes} == {"raw", "base", "core", "posting"}


def test_the_standard_run_is_dbt_then_posting_and_the_short_one_is_posting_alone(
    loaded: dg.Definitions,
) -> None:
    def assets(job: str) -> set[str]:
        nodes = loaded.resolve_job_def(job).asset_layer.selected_asset_keys
        return {key.path[0] for key in nodes}

    assert assets("repayment_pipeline") == {"BASE", "CORE", "posted_repayments"}
    assert assets("post_repayments") == {"posted_repayments"}


def test_the_pipeline_runs_every_half_hour_of_india_and_is_on(loaded: dg.Definitions) -> None:
    schedule = loaded.resolve_schedule_def("every_half_hour")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("*/30 * * * *", "Asia/Kolkata")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "repayment_pipeline"


def test_run_config_cannot_point_posting_at_a_host_that_is_not_allowed(
    loaded: dg.Definitions, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_urls.psycopg)
    monkeypatch.setenv("FINERACT_BASE_URL", "sandbox")
    elsewhere = {"base_url": "https://evil.example/fineract-provider/api/v1"}
    job = loaded.resolve_job_def("post_repayments")

    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            run_config={"resources": {"fineract": {"config": elsewhere}}},
            instance=instance,
            raise_on_error=False,
        )

    assert not result.success
    said = str([event.event_specific_data for event in result.all_events if event.is_failure])
    assert "FINERACT_ALLOWED_HOSTS must name evil.example" in said
