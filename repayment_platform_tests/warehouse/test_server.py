"""The choice of the database, and what is said when it cannot be used."""

from pathlib import Path

import psycopg
import pytest

from repayment_platform.settings import Settings
from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.rights import APPLICATION
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import commands_on


def settings_for(database_url: str) -> Settings:
    return Settings(_env_file=None, database_url=database_url, fineract_base_url="sandbox")


def test_a_database_url_is_used_as_it_is(database_urls: DatabaseUrls) -> None:
    with warehouse(settings_for(database_urls.psycopg)) as urls:
        assert urls == database_urls


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://u:secret@127.0.0.1:1/d", "DATABASE_URL: .*Connection refused"),
        ("postgresql://u:secret@127.0.0.1:1", "DATABASE_URL: names no dbname"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(url: str, complaint: str) -> None:
    with (
        pytest.raises(WarehouseUnavailable, match=complaint) as refusal,
        warehouse(settings_for(url)),
    ):
        pass
    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_server_that_is_too_old_is_refused(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repayment_platform.warehouse.server.OLDEST_MAJOR_VERSION", 19)
    with (
        pytest.raises(WarehouseUnavailable, match="PostgreSQL 18 is too old, 19 is the oldest"),
        warehouse(settings_for(database_urls.psycopg)),
    ):
        pass


def test_without_a_url_the_embedded_server_of_the_home_is_used(
    server: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from repayment_platform_tests.conftest import RUN_HOME

    home = Path(os.environ[RUN_HOME])
    with warehouse(Settings(_env_file=None, repayment_home=home)) as urls:
        assert urls == server.as_role(APPLICATION)
        assert urls.owner == server


def test_a_role_that_may_nothing_ends_a_command_with_one_line(database_urls: DatabaseUrls) -> None:
    with psycopg.connect(database_urls.psycopg, autocommit=True) as owner:
        owner.execute("CREATE ROLE may_nothing LOGIN")
        try:
            poor = database_urls.as_role("may_nothing")
            for command in ("status", "holds"):
                done = commands_on(poor)(command)
                assert done.code == 1
                assert done.stderr.count("\n") == 1
                assert "may not" in done.stderr or "permission denied" in done.stderr
        finally:
            owner.execute("DROP ROLE may_nothing")
