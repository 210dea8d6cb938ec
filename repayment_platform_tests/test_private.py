"""The home holds what borrowers have paid: nobody else looks into it, whoever makes it first."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repayment_platform.commands.platform import platform
from repayment_platform.landing.inbox import inbox_of
from repayment_platform.monitoring.doctor import _disk
from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations.protection import signing_key
from repayment_platform_tests.ports import free_port


@pytest.fixture(autouse=True)
def _generous() -> Iterator[None]:
    """As a shell has it that nobody has told anything."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def settings(migrated_urls: DatabaseUrls, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        database_url=migrated_urls.psycopg,
        repayment_home=tmp_path / "a" / "home",
        fineract_base_url=SANDBOX,
        sandbox_port=free_port(),
    )


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def by_a_command(settings: Settings) -> None:
    before = dict(os.environ)
    try:
        with platform(settings):
            pass
    finally:
        os.environ.clear()
        os.environ.update(before)


def by_the_sandbox(settings: Settings) -> None:
    with running_sandbox(settings.home, settings.sandbox_port):
        pass


def by_the_doctor(settings: Settings) -> None:
    list(_disk(settings, DatabaseUrls("nowhere", 1, "nobody", "none")))


@pytest.mark.parametrize(
    "make",
    [
        by_a_command,
        by_the_sandbox,
        by_the_doctor,
        lambda settings: inbox_of(settings.home),
        lambda settings: signing_key(settings.home),
    ],
    ids=["command", "sandbox", "doctor", "inbox", "screens"],
)
def test_whoever_makes_the_home_makes_it_for_this_user_alone(
    settings: Settings, make: Callable[[Settings], object]
) -> None:
    make(settings)
    assert mode(settings.home) == 0o700


def test_inboxes_are_for_this_user_alone_and_are_closed_where_they_were_open(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    inbox = inbox_of(home)
    folders = [home, inbox, *inbox.iterdir()]
    assert len(folders) > 5
    assert {mode(folder) for folder in folders} == {0o700}
    for folder in folders:
        folder.chmod(0o777)
    inbox_of(home)
    # Passing through stays allowed where it was: the embedded server's user does.
    assert {mode(folder) for folder in folders} == {0o701}
