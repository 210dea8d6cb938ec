"""`./run doctor`: what it finds right, and what it says of each thing that is wrong."""

import os
import signal
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from repayment_platform.monitoring.doctor import Check, examine
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.certificates import BAD, SAYS, UNKNOWN_CA, Certificates, showing
from repayment_platform_tests.conftest import Sandbox

HEARTBEAT = """
CREATE TABLE dagster.daemon_heartbeats (daemon_type text, timestamp timestamp);
INSERT INTO dagster.daemon_heartbeats VALUES ('SENSOR', localtimestamp - interval '10 s')
"""


def checks(settings: Settings, urls: DatabaseUrls) -> dict[str, Check]:
    return {check.name: check for check in examine(settings, urls)}


def wrong(settings: Settings, urls: DatabaseUrls) -> set[str]:
    return {name for name, check in checks(settings, urls).items() if not check.right}


def real(settings: Settings, sandbox: Sandbox, **changes: Any) -> Settings:
    """The sandbox as if it were a Fineract of somebody's own."""
    return settings.model_copy(update={"fineract_base_url": sandbox.base_url, **changes})


def test_a_new_installation_misses_its_daemon_only(
    settings: Settings, database_urls: DatabaseUrls
) -> None:
    assert wrong(settings, database_urls) == {"Dagster's daemon"}
    with psycopg.connect(database_urls.psycopg) as connection:
        connection.execute(HEARTBEAT)
    assert wrong(settings, database_urls) == set()


def test_a_wrong_password_and_missing_secrets_are_told_with_what_to_do(
    settings: Settings, sandbox: Sandbox, database_urls: DatabaseUrls
) -> None:
    other = real(settings, sandbox, fineract_password=SecretStr("hidden-9"))
    found = checks(other, database_urls)
    assert not found["Fineract's look-up"].right
    assert "FINERACT_PASSWORD" in found["Fineract's look-up"].advice
    assert not found["RAZORPAY_WEBHOOK_SECRETS_UGRO"].right
    assert "hidden-9" not in str(found)


def test_the_default_login_is_wrong_on_a_host_that_is_not_this_one(
    settings: Settings, database_urls: DatabaseUrls
) -> None:
    away = "https://fineract.invalid/fineract-provider/api/v1"
    other = settings.model_copy(update={"fineract_base_url": away})
    assert {"Fineract", "Fineract's login"} <= wrong(other, database_urls)


def test_a_fineract_that_is_away_is_told_in_one_line(
    settings: Settings, sandbox: Sandbox, database_urls: DatabaseUrls
) -> None:
    os.kill(sandbox.get("health")["pid"], signal.SIGKILL)
    found = checks(real(settings, sandbox), database_urls)
    assert not found["Fineract"].right
    assert "\n" not in found["Fineract"].seen


@pytest.mark.parametrize("fault", BAD)
def test_a_certificate_that_is_not_to_be_trusted_is_told_in_its_sentence(
    settings: Settings, database_urls: DatabaseUrls, certificates: Certificates, fault: str
) -> None:
    with showing(certificates[fault]) as (address, asked):
        changes = {"fineract_base_url": address, "fineract_ca_file": certificates.ca}
        found = checks(settings.model_copy(update=changes), database_urls)
    assert not found["Fineract"].right
    assert found["Fineract"].seen == f"{address}: {SAYS[fault]}"
    assert asked == []


def test_a_private_ca_has_to_be_named(
    settings: Settings, database_urls: DatabaseUrls, certificates: Certificates
) -> None:
    with showing(certificates["good"]) as (address, asked):
        away = settings.model_copy(update={"fineract_base_url": address})
        assert SAYS[UNKNOWN_CA] in checks(away, database_urls)["Fineract"].seen
        assert asked == []
        named = away.model_copy(update={"fineract_ca_file": certificates.ca})
        assert checks(named, database_urls)["Fineract"].right
        assert asked


def test_a_database_that_is_not_migrated_or_away_is_told(
    settings: Settings, empty_database: DatabaseUrls
) -> None:
    assert "migrations" in wrong(settings, empty_database)
    nowhere = empty_database.with_database("nowhere")
    assert {"database", "Dagster's daemon"} <= wrong(settings, nowhere)


@pytest.mark.parametrize("room", [0, 10**9])
def test_a_full_disk_is_told(
    settings: Settings,
    database_urls: DatabaseUrls,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
) -> None:
    """The least that must be free is raised here, because no test fills a disk."""
    monkeypatch.setattr(
        "repayment_platform.monitoring.doctor.LEAST_FREE_BYTES", 10**18 * (room > 0)
    )
    assert ("disk" in wrong(settings, database_urls)) is (room > 0)
