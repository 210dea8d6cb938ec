"""Dagster's own servers are refused on the platform's storage; its other commands are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repayment_platform.commands.platform import platform
from repayment_platform.settings import ROOT, SANDBOX, Settings
from repayment_platform.warehouse.urls import DatabaseUrls

BIN = Path(sys.executable).parent


@pytest.fixture
def environment(
    database_urls: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    settings = Settings(
        _env_file=None,
        database_url=database_urls.psycopg,
        repayment_home=tmp_path,
        fineract_base_url=SANDBOX,
    )
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    with platform(settings):
        return dict(os.environ) | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    "command",
    [
        (str(BIN / "dagster"), "dev"),
        (str(BIN / "dagster-webserver"),),
        (sys.executable, "-m", "dagster_webserver"),
    ],
)
def test_a_second_door_does_not_open(command: tuple[str, ...], environment: dict[str, str]) -> None:
    ran = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 1
    [said] = [line for line in ran.stderr.splitlines() if "without a log-in" in line]
    assert "use ./run up" in said
    assert "Traceback" not in ran.stderr


def test_other_commands_of_dagster_work(environment: dict[str, str]) -> None:
    command = (str(BIN / "dagster"), "instance", "info")
    ran = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stderr
