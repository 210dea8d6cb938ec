"""Reconciliation in Dagster: run config in words, runs of requests, runs that die."""

import multiprocessing
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from repayment_platform.definitions import defs
from repayment_platform.defs.launched_by import LAUNCHED_BY
from repayment_platform.posting import model as posting
from repayment_platform.reconciliation import requests, running
from repayment_platform.reconciliation.selection import RECON_LENDERS
from repayment_platform.settings import SANDBOX
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.posting.conftest import Bench
from repayment_platform_tests.reconciliation.conftest import DAY, Desk

UGRO = {"lender": "UGRO", "requested_by": "asha", "dry_run": False}
RUN_KEY = "dagster/run_key"


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    return defs()


@pytest.fixture
def bench(connection: Any, settings: Any, sandbox: Sandbox, database_urls: DatabaseUrls) -> Bench:
    return Bench(connection, settings, sandbox, database_urls.psycopg)


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench.connection)


@pytest.fixture(autouse=True)
def environment(bench: Bench, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(bench, database_urls).items():
        monkeypatch.setenv(name, value)


def environ(bench: Bench, urls: DatabaseUrls) -> dict[str, str]:
    return {
        "DATABASE_URL": urls.psycopg,
        "FINERACT_BASE_URL": SANDBOX,
        "SANDBOX_PORT": str(bench.sandbox.port),
        "REPAYMENT_HOME": str(bench.settings.home),
        "REPAYMENT_ENV_FILE": "/dev/null",
    }


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def run(
    loaded: dg.Definitions, instance: dg.DagsterInstance, tags: Any = None, **config: Any
) -> dg.ExecuteInProcessResult:
    return loaded.resolve_job_def("reconcile_repayments").execute_in_process(
        run_config={"ops": {"reconciled_repayments": {"config": config}}},
        instance=instance,
        tags=tags,
        raise_on_error=False,
    )


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Of a dry run what it observed, of another what it materialized."""
    (event,) = [e for e in result.all_events if e.is_step_materialization or e.is_asset_observation]
    data = event.event_specific_data
    shown = data.materialization if event.is_step_materialization else data.asset_observation
    return {name: value.value for name, value in shown.metadata.items()}


def refusal(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    return str([event.event_specific_data for event in result.all_events if event.is_step_failure])


def payments(bench: Bench, desk: Desk, count: int) -> set[str]:
    bench.loans(*(f"UGRO-LN-{n}" for n in range(count)))
    return {desk.payment(f"UGRO-LN-{n}", "10.00") for n in range(count)}


def test_a_dry_run_is_the_default_and_changes_nothing(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    payments(bench, desk, 2)
    result = run(loaded, instance, lender="UGRO")
    seen = told(result)
    assert (seen["dry_run"], seen["payments"], seen["rupees"]) == (True, 2, "20.00")
    assert bench.ledger() == []
    assert desk.audited() == []


def test_a_run_from_the_launchpad_posts_what_its_config_chooses_and_nothing_else(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    first, *_ = sorted(payments(bench, desk, 3))
    result = run(loaded, instance, **UGRO, source_keys=[first])
    assert result.success
    assert told(result)["posted"] == 1
    assert [key for key, _, _ in bench.ledger()] == [first]
    request = requests.get(bench.connection, told(result)["request"])
    assert (request.state, request.requested_by, request.counts) == ("done", "asha", {"success": 1})
    assert request.result is not None
    assert (request.result["posted"], request.result["run_id"]) == (1, result.run_id)
    passed = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert passed == dict.fromkeys(
        ("no_source_key_posted_twice", "ledger_agrees", "posting_complete"), True
    )


def test_who_was_logged_in_asks_for_it_whatever_the_config_says(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    payments(bench, desk, 1)
    result = run(loaded, instance, {LAUNCHED_BY: "ravi"}, **UGRO)
    assert requests.get(bench.connection, told(result)["request"]).requested_by == "ravi"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"lender": "ACME"}, "not in enum type ReconLender"),
        ({"lender": "DMI"}, "not in enum type ReconLender"),
        ({"recon_source": "PAYPAL"}, "not in enum type ReconSource"),
        ({}, "nothing is selected"),
        ({"first_day": "2025-12-01", "last_day": "2025-11-01"}, "range is reversed"),
        ({"first_day": "01/12/2025"}, "is no date: YYYY-MM-DD"),
        ({"source_keys": ["xyz"]}, "is no source key"),
        ({"source_keys": ["0" * 32]}, "unknown payment"),
        ({"requested_by": " "}, "say in requested_by who asks"),
        ({"request": 7}, "name a request or choose payments, not both"),
        ({"request": 7, "lender": "ANY"}, "there is no request 7"),
        ({"loans": ["x"]}, "unexpected config entry"),
    ],
)  # fmt: skip
def test_config_that_is_wrong_is_refused_in_words_before_anything_is_touched(
    loaded: dg.Definitions,
    instance: dg.DagsterInstance,
    bench: Bench,
    desk: Desk,
    config: dict[str, Any],
    said: str,
) -> None:
    payments(bench, desk, 1)
    asked = (UGRO | config) if config else {"dry_run": False, "requested_by": "asha"}
    if said.startswith(("not in enum", "unexpected config")):
        with pytest.raises(dg.DagsterInvalidConfigError, match=said):
            run(loaded, instance, **asked)
    else:
        assert said in refusal(run(loaded, instance, **asked))
    assert bench.ledger() == []
    assert desk.audited() == []


def test_the_key_of_an_automated_lender_is_refused_even_in_a_dry_run(
    loaded: dg.Definitions, instance: dg.DagsterInstance, desk: Desk
) -> None:
    key = desk.payment("DMI-APP-1", lender="DMI", source=None)
    for dry_run in (True, False):
        result = run(loaded, instance, source_keys=[key], requested_by="asha", dry_run=dry_run)
        assert f"{key}: of a lender that is posted automatically" in refusal(result)


def test_under_four_eyes_the_launchpad_posts_approved_requests_only(
    loaded: dg.Definitions,
    instance: dg.DagsterInstance,
    bench: Bench,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = payments(bench, desk, 2)
    monkeypatch.setenv("RECON_FOUR_EYES", "true")
    assert "RECON_FOUR_EYES is on" in refusal(run(loaded, instance, **UGRO))
    number = desk.request(four_eyes=True)
    asked = {"request": number, "dry_run": False}
    assert "awaiting approval" in refusal(run(loaded, instance, **asked))
    assert told(run(loaded, instance, request=number))["payments"] == 2
    assert bench.ledger() == []
    requests.approve(bench.connection, number, "bela", "fine")
    assert run(loaded, instance, **asked).success
    assert {key for key, _, _ in bench.ledger()} == keys
    assert f"request {number} is done" in refusal(run(loaded, instance, **asked))


def test_what_fineract_refuses_waits_for_the_operator_and_not_for_the_automated_run(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    payments(bench, desk, 1)
    stranger = desk.payment("UGRO-LN-77")
    result = run(loaded, instance, **UGRO)
    assert (told(result)["posted"], told(result)["failed"]) == (1, 1)
    request = requests.get(bench.connection, told(result)["request"])
    assert request.counts == {"failed": 1, "success": 1}
    bench.post()
    bench.loans("UGRO-LN-77")
    bench.post()
    assert bench.states()[stranger] == "failed"
    assert told(run(loaded, instance, **UGRO))["posted"] == 1


def test_facts_that_change_after_the_approval_are_not_posted(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk
) -> None:
    kept, changed = sorted(payments(bench, desk, 2))
    number = desk.request()
    desk.change(changed, amount="99.00")
    result = run(loaded, instance, request=number, dry_run=False)
    assert [key for key, _, _ in bench.ledger()] == [kept]
    assert "loan, date or amount changed since the request" in str(told(result)["excluded"])


@pytest.mark.parametrize("taken_by", ["run-1", "a later run"])
def test_an_intent_needs_the_request_in_this_runs_hand_and_the_facts_that_were_approved(
    bench: Bench, desk: Desk, taken_by: str
) -> None:
    kept, changed = sorted(payments(bench, desk, 2))
    number = desk.request()
    plan = running.begin(bench.connection, number, taken_by)
    desk.change(changed, amount="99.00", batch=9)
    bench.post(posting.Selection(RECON_LENDERS, recon_keys=plan.keys, recon_request=number))
    assert [key for key, _, _ in bench.ledger()] == ([kept] if taken_by == "run-1" else [])


def sensor_requests(
    loaded: dg.Definitions, instance: dg.DagsterInstance, urls: DatabaseUrls
) -> list[dg.RunRequest]:
    context = dg.build_sensor_context(
        instance=instance, resources={"warehouse": urls}, definitions=loaded
    )
    evaluated = loaded.resolve_sensor_def("recon_requests").evaluate_tick(context)
    return list(evaluated.run_requests or [])


def test_each_attempt_of_an_approved_request_has_one_run_key(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk,
    database_urls: DatabaseUrls,
) -> None:  # fmt: skip
    payments(bench, desk, 1)
    assert sensor_requests(loaded, instance, database_urls) == []
    number = desk.request(four_eyes=True)
    assert sensor_requests(loaded, instance, database_urls) == []
    requests.approve(bench.connection, number, "bela", "fine")
    for _ in range(2):
        (asked,) = sensor_requests(loaded, instance, database_urls)
        assert asked.run_key == f"recon-{number}-1"
    assert run(
        loaded, instance, **asked.run_config["ops"]["reconciled_repayments"]["config"]
    ).success
    assert sensor_requests(loaded, instance, database_urls) == []


def test_a_request_whose_run_died_before_it_began_can_be_started_again(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk,
    database_urls: DatabaseUrls,
) -> None:  # fmt: skip
    payments(bench, desk, 1)
    number = desk.request()
    job = loaded.resolve_job_def("reconcile_repayments")
    dead = instance.create_run_for_job(job, tags={RUN_KEY: f"recon-{number}-1"})
    assert len(sensor_requests(loaded, instance, database_urls)) == 1
    instance.report_run_failed(dead)
    assert sensor_requests(loaded, instance, database_urls) == []
    assert requests.get(bench.connection, number).state == "failed"
    requests.start_again(bench.connection, number, "asha")
    (asked,) = sensor_requests(loaded, instance, database_urls)
    assert asked.run_key == f"recon-{number}-2"


@pytest.mark.faults
def test_a_killed_run_of_a_request_is_started_again_and_posts_each_payment_once(
    loaded: dg.Definitions, instance: dg.DagsterInstance, bench: Bench, desk: Desk,
    database_urls: DatabaseUrls, tmp_path: Any,
) -> None:  # fmt: skip
    keys = payments(bench, desk, 40) | {
        desk.payment(f"UGRO-LN-{n}", "10.00", DAY + timedelta(1)) for n in range(40)
    }
    number = desk.request()
    bench.faults({"kind": "latency", "ms": 100, "jitter_ms": 100})
    killed = multiprocessing.get_context("spawn").Process(
        target=run_request, args=(number, environ(bench, database_urls))
    )
    killed.start()
    deadline = time.monotonic() + 90
    while len(bench.posts()) < 25:
        assert killed.is_alive() or time.monotonic() < deadline
        time.sleep(0.01)
    killed.kill()
    killed.join()
    assert requests.get(bench.connection, number).state == "running"
    assert sensor_requests(loaded, instance, database_urls) == []
    request = requests.get(bench.connection, number)
    assert request.state == "failed"
    assert "is not known to Dagster" in str(request.result)
    bench.faults()
    requests.start_again(bench.connection, number, "asha")
    assert run(loaded, instance, request=number, dry_run=False).success
    assert sorted(key for key, _, _ in bench.ledger()) == sorted(keys)
    assert requests.get(bench.connection, number).counts == {"success": 80}


def run_request(number: int, environment: dict[str, str]) -> None:
    """A process that reconciles a request, to be killed."""
    import os

    os.environ.update(environment)
    with dg.DagsterInstance.ephemeral() as own:
        run(defs(), own, request=number, dry_run=False)
