"""Asset checks in Dagster: after a dry run, after a posting, and at night."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from repayment_platform.definitions import defs
from repayment_platform.defs.run_errors import errors_of
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.defs.test_reconciliation import environ
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.posting.undone import undo

JOBS = {"post_repayments": "posted_repayments", "reconcile_repayments": "reconciled_repayments"}


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture
def bench(
    connection: Any,
    settings: Any,
    sandbox: Sandbox,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    bench = Bench(connection, settings, sandbox, database_urls.psycopg)
    for name, value in environ(bench, database_urls).items():
        monkeypatch.setenv(name, value)
    return bench


@pytest.fixture
def undone(bench: Bench) -> str:
    """A payment that was posted, and undone in Fineract since."""
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    undo(bench, key)
    return key


def run(
    loaded: dg.Definitions, instance: dg.DagsterInstance, job: str, **config: Any
) -> dg.ExecuteInProcessResult:
    return loaded.resolve_job_def(job).execute_in_process(
        run_config={"ops": {JOBS[job]: {"config": config}}}, instance=instance, raise_on_error=False
    )


@pytest.mark.parametrize(
    ("job", "config"),
    [
        ("post_repayments", {"dry_run": True}),
        ("reconcile_repayments", {"lender": "UGRO"}),
    ],
)
def test_a_dry_run_asks_no_ledger_raises_nothing_and_is_no_materialization(
    loaded: dg.Definitions,
    instance: dg.DagsterInstance,
    bench: Bench,
    undone: str,
    job: str,
    config: dict[str, Any],
) -> None:
    before = len(bench.requests())

    result = run(loaded, instance, job, **config)

    assert result.success
    assert len(bench.requests()) == before
    assert open_exceptions(bench.connection) == []
    assert result.get_asset_materialization_events() == []
    assert result.get_asset_check_evaluations() == []
    (seen,) = result.get_asset_observation_events()
    assert seen.asset_observation_data.asset_observation.metadata["dry_run"].value is True


def test_a_run_that_posts_is_followed_by_every_check(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, undone: str
) -> None:
    result = run(loaded, instance, "post_repayments")

    passed = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert passed == {
        "no_source_key_posted_twice": True,
        "nothing_unaccounted": True,
        "nothing_silent": True,
        "ledger_agrees": False,
        "posting_complete": True,
    }
    assert [found.source_key for found in open_holds(bench.connection)] == [undone]


def test_posting_that_ended_early_is_materialized_checked_and_told_by_a_check_of_its_own(
    loaded: dg.Definitions,
    instance: dg.DagsterInstance,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench.loans("LN-1", "LN-2")
    keys = {bench.payment("LN-1"), bench.payment("LN-2")}
    bench.faults({"kind": "unauthorized", "skip": 1})
    words = "posting stopped early, the rest stays queued: Fineract refuses the user name"

    monkeypatch.setenv("POSTING_WORKERS", "1")
    result = run(loaded, instance, "post_repayments")

    assert not result.success
    (made,) = result.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert (metadata["posted"].value, metadata["waiting"].value) == (1, 1)
    assert str(metadata["not_complete"].value).startswith(words)
    checks = {e.check_name: (e.passed, e.description) for e in result.get_asset_check_evaluations()}
    assert {name for name, (passed, _) in checks.items() if passed} == {
        "no_source_key_posted_twice",
        "nothing_unaccounted",
        "nothing_silent",
        "ledger_agrees",
    }
    assert (checks["posting_complete"][1] or "").startswith(words)
    (error,) = errors_of(instance, result.run_id)
    assert error.startswith(f"posted_repayments_posting_complete: {words}")
    assert sorted(bench.states().values()) == ["success", "waiting"]
    assert set(bench.states()) == keys


def test_every_night_the_ledger_is_asked_about_old_postings_and_the_job_fails_on_a_difference(
    loaded: dg.Definitions,
    instance: dg.DagsterInstance,
    bench: Bench,
    undone: str,
) -> None:
    bench.connection.execute(
        'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET ledger_checked_at = now()'
    )

    result = loaded.resolve_job_def("nightly_tests").execute_in_process(
        op_selection=["compare_the_ledger_in_turn"], instance=instance, raise_on_error=False
    )

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert f"{undone}: was undone in the ledger" in str(failure.event_specific_data)
    assert [found.kind for found in open_holds(bench.connection)] == ["reversed_in_ledger"]
