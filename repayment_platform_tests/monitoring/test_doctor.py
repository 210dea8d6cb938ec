"""`./run doctor`: what it finds right, and what it says of each thing that is wrong."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from repayment_platform.monitoring.check import Check
from repayment_platform.monitoring.doctor import examine
from repayment_platform.settings import Settings
from repayment_platform.warehouse.rights import APPLICATION, READER
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import Commands
from repayment_platform_tests.conftest import Sandbox

CARELESS = "durability"
"""Wrong in every test: their server does not wait for the disk (`databases.be_careless`)."""
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
    application = database_urls.as_role(APPLICATION)
    assert wrong(settings, application) == {"Dagster's daemon", CARELESS}
    with psycopg.connect(application.psycopg) as connection:
        connection.execute(HEARTBEAT)
    assert wrong(settings, application) == {CARELESS}


def test_a_role_that_may_too_much_or_too_little_is_told(
    settings: Settings, database_urls: DatabaseUrls
) -> None:
    owner = checks(settings, database_urls)["rights"]
    assert not owner.right
    assert "may change" in owner.seen
    reader = checks(settings, database_urls.as_role(READER))["rights"]
    assert not reader.right
    assert "may not add to" in reader.seen


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


@pytest.mark.parametrize("command", [("doctor",), ("rejected", "0" * 32, "--why", "wrong")])
def test_plain_http_to_another_machine_ends_a_command_before_it_begins(
    run: Commands, command: tuple[str, ...]
) -> None:
    address = "http://fineract.example/fineract-provider/api/v1"
    done = run(*command, FINERACT_BASE_URL=address, FINERACT_ALLOWED_HOSTS="fineract.example")
    assert done.code == 2
    assert done.stderr == (
        "settings: FINERACT_BASE_URL must begin with https://: over http:// everybody on the way "
        "to fineract.example can read the password and change repayments; "
        "give Fineract a certificate\n"
    )


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


def test_settings_that_harm_are_named_with_who_has_set_them(
    settings: Settings, empty_database: DatabaseUrls
) -> None:
    with psycopg.connect(empty_database.psycopg, autocommit=True) as owner:
        for setting in ("statement_timeout = '30s'", "default_transaction_read_only = on"):
            name = sql.Identifier(empty_database.dbname)
            owner.execute(sql.SQL(f"ALTER DATABASE {{}} SET {setting}").format(name))
    found = checks(settings, empty_database)
    harm = found["settings of the database"]
    assert not harm.right
    assert "statement_timeout is 30s (by database)" in harm.seen
    assert "default_transaction_read_only is on (by database)" in harm.seen
    assert "fsync is off" in found[CARELESS].seen


def test_an_owner_that_cannot_migrate_is_told_before_an_update_needs_it(
    settings: Settings, database_urls: DatabaseUrls
) -> None:
    application = database_urls.as_role(APPLICATION)
    assert checks(settings, application)["owner"].right
    reader = replace(application, owner=database_urls.as_role(READER))
    assert "may not migrate" in checks(settings, reader)["owner"].seen
    away = replace(application, owner=database_urls.with_database("nowhere"))
    assert "nowhere" in checks(settings, away)["owner"].seen


def test_what_cannot_be_examined_is_wrong_and_ends_nothing(
    settings: Settings, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    broken = settings.model_copy(update={"repayment_home": tmp_path / "file" / "home"})
    with psycopg.connect(database_urls.psycopg) as connection:
        connection.execute("CREATE TABLE dagster.daemon_heartbeats (timestamp text)")
    found = checks(broken, database_urls)
    assert found["disk"].seen.startswith("NotADirectoryError: ")
    assert "operator does not exist" in found["Dagster's daemon"].seen


def test_a_check_that_waits_for_ever_is_left_at_its_deadline(
    settings: Settings, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repayment_platform.monitoring.doctor.DEADLINE_SECONDS", 1)
    with psycopg.connect(database_urls.psycopg, autocommit=True) as other:
        other.execute(HEARTBEAT)
        with other.transaction():
            other.execute("LOCK TABLE dagster.daemon_heartbeats")
            assert checks(settings, database_urls)["daemon"].seen == "not done after 1 s"
