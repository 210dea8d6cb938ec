"""Failed runs and checks as findings."""

import sys
import time
from typing import Any

import dagster as dg
import psycopg
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test, instance_for_test
from dagster._utils.error import serializable_error_info_from_exc_info

from repayment_platform.definitions import defs
from repayment_platform.defs.alerts import failed_checks, failed_runs, incidents, posting_stopped
from repayment_platform.defs.posting import ANSWERED, COMPLETE, STOPPED_EARLY
from repayment_platform.defs.reconciliation import REFUSED
from repayment_platform.warehouse.urls import DatabaseUrls

ALL = dg.AssetCheckKey(dg.AssetKey("money"), "adds_up")


class Says(dg.Config):
    """What the step ends with."""

    failure: str = ""
    passed: bool = True


@dg.asset
def money(config: Says) -> None:
    if config.failure:
        raise dg.Failure(config.failure)


@dg.asset_check(asset=money)
def adds_up(config: Says) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=config.passed)


JOB = dg.Definitions(
    assets=[money], asset_checks=[adds_up], jobs=[dg.define_asset_job("a_job")]
).resolve_job_def("a_job")


def run(instance: dg.DagsterInstance, failure: str = "", passed: bool = True) -> str:
    ops = {
        "money": {"config": {"failure": failure}},
        "money_adds_up": {"config": {"passed": passed}},
    }
    ended = JOB.execute_in_process(instance=instance, run_config={"ops": ops}, raise_on_error=False)
    return ended.run_id


def test_a_job_whose_last_run_failed_is_a_finding_until_one_succeeds() -> None:
    with instance_for_test() as instance:
        assert list(failed_runs(instance, ["a_job", "another"])) == []
        run_id = run(instance, failure="no room")
        (found,) = failed_runs(instance, ["a_job", "another"])
        assert (found.kind, found.subject) == ("run_failed", "a_job")
        assert run_id in found.detail
        assert "money: no room" in found.detail
        instance.create_run_for_job(JOB)
        assert len(list(failed_runs(instance, ["a_job"]))) == 1
        run(instance)
        assert list(failed_runs(instance, ["a_job"])) == []


def test_of_a_run_that_no_step_has_ended_an_incident_says_what_dagster_recorded() -> None:
    with instance_for_test() as instance:
        begun = instance.create_run_for_job(JOB)
        try:
            raise ConnectionError("the code server is away")
        except ConnectionError:
            away = serializable_error_info_from_exc_info(sys.exc_info())
        instance.report_engine_event("Caught an error", begun, EngineEventData.engine_error(away))
        instance.report_run_failed(begun, "This run took too long to start.")
        (found,) = failed_runs(instance, ["a_job"])
    assert "Caught an error (" in found.detail
    assert "the code server is away" in found.detail
    assert "This run took too long to start." in found.detail


def test_a_failed_run_is_made_good_by_a_later_one_of_the_job_that_does_more() -> None:
    with instance_for_test() as instance:
        end(instance, "repayment_pipeline", dg.DagsterRunStatus.SUCCESS)
        end(instance, "post_repayments", dg.DagsterRunStatus.FAILURE)
        (found,) = failed_runs(instance, ["post_repayments", "repayment_pipeline"])
        assert found.subject == "post_repayments"
        end(instance, "repayment_pipeline", dg.DagsterRunStatus.SUCCESS)
        assert list(failed_runs(instance, ["post_repayments", "repayment_pipeline"])) == []


def test_posting_that_stopped_early_is_a_finding_until_any_posting_gets_through() -> None:
    checks = [dg.AssetCheckKey(dg.AssetKey(name), COMPLETE) for name in ("posted", "reconciled")]
    why = f"{STOPPED_EARLY}, the rest stays queued: no connection"
    with instance_for_test() as instance:
        assert list(posting_stopped(instance, checks)) == []
        tell(instance, "posted", "a job", why)
        (found,) = posting_stopped(instance, checks)
        assert (found.kind, found.subject) == ("circuit_open", "Fineract")
        assert why in found.detail
        # Not told again as a failed check, nor as a run of that job.
        assert list(failed_checks(instance, checks)) == []
        assert list(failed_runs(instance, ["a_job"])) == []
        tell(instance, "reconciled", "another", "request 1: 2 of 3 payments were not posted")
        assert list(posting_stopped(instance, checks)) == []
        tell(instance, "posted", "a job", why)
        assert len(list(posting_stopped(instance, checks))) == 1
        # A run that had nothing to ask shows nothing.
        tell(instance, "posted", "another", answered=False)
        assert len(list(posting_stopped(instance, checks))) == 1
        tell(instance, "posted", "another")
        assert list(posting_stopped(instance, checks)) == []


def test_a_run_that_stopped_early_and_failed_in_other_ways_too_tells_only_these() -> None:
    with instance_for_test() as instance:
        run(instance, failure=f"{STOPPED_EARLY}, the rest stays queued: no connection")
        assert list(failed_runs(instance, ["a_job"])) == []
        run(instance, failure="no room")
        assert len(list(failed_runs(instance, ["a_job"]))) == 1


def test_a_launch_that_our_own_checks_refused_is_no_incident() -> None:
    with instance_for_test() as instance:
        run(instance, failure=f"{REFUSED}: request 7 is not approved")
        assert list(failed_runs(instance, ["a_job"])) == []


def tell(
    instance: dg.DagsterInstance, asset: str, job: str, why: str | None = None,
    name: str = COMPLETE, answered: bool = True,
) -> None:  # fmt: skip
    """A run of some job in which the check of an asset was done."""

    @dg.asset(name=asset)
    def made() -> None:
        return None

    @dg.asset_check(asset=made, name=name)
    def complete() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=why is None, description=why, metadata={ANSWERED: answered}
        )

    defined = dg.define_asset_job(job.replace(" ", "_"))
    loaded = dg.Definitions(assets=[made], asset_checks=[complete], jobs=[defined])
    loaded.resolve_job_def(defined.name).execute_in_process(instance=instance)


def test_a_comparison_with_the_ledger_is_made_good_by_that_of_the_other_asset() -> None:
    checks = [dg.AssetCheckKey(dg.AssetKey(name), "ledger_agrees") for name in ("one", "other")]
    with instance_for_test() as instance:
        tell(instance, "one", "a job", "Fineract failed", "ledger_agrees")
        assert [found.subject for found in failed_checks(instance, checks)] == ["one:ledger_agrees"]
        tell(instance, "other", "another", name="ledger_agrees")
        assert list(failed_checks(instance, checks)) == []


def end(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus) -> None:
    time.sleep(0.01)  # the runs' times of creation must differ
    create_run_for_test(instance, job_name=job, status=status)


def test_a_failed_check_is_a_finding_until_it_passes() -> None:
    with instance_for_test() as instance:
        assert list(failed_checks(instance, [ALL])) == []
        run(instance, passed=False)
        (found,) = failed_checks(instance, [ALL])
        assert (found.kind, found.subject) == ("check_failed", "money:adds_up")
        # A check that was to be done and was not says nothing new.
        run(instance, failure="no room")
        assert len(list(failed_checks(instance, [ALL]))) == 1
        run(instance)
        assert list(failed_checks(instance, [ALL])) == []


def test_the_sensor_looks_at_the_platforms_own_jobs_checks_and_tables(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any]
) -> None:
    connection.execute(
        'INSERT INTO "CORE"."CORE_INCIDENT" (kind, subject, detail) VALUES (%s, %s, %s)',
        ("run_failed", "repayment_pipeline", "an old one"),
    )
    with instance_for_test() as instance:
        context = dg.build_sensor_context(
            instance,
            definitions=defs(),
            resources={"warehouse": database_urls},
        )
        said = incidents(context)
    assert isinstance(said, dg.SkipReason)
    assert said.skip_message == "0 incidents are open, 0 messages were sent"
    query = 'SELECT count(*) FROM "CORE"."CORE_INCIDENT" WHERE resolved_at IS NULL'
    assert connection.execute(query).fetchone() == (0,)
