"""A running platform and a real browser that looks at it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from repayment_platform_tests.faults.conftest import Installation, installation
from repayment_platform_tests.ports import free_port

__all__ = ["installation"]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        assert "CI" not in os.environ, "CI must have Chromium"
        pytest.skip("no Chromium on this machine: install it to run the browser tests")
    with sync_playwright() as playwright:
        # Root may not use Chromium's own sandbox, and CI runs as root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1500, "height": 950})
        browser.close()


PASSWORD = "wind over the paddy"


def add_user(installation: Installation, name: str, role: str) -> None:
    command = (sys.executable, "-m", "repayment_platform.cli", "users", "add", name, role, "--ask")
    subprocess.run(command, input=f"{PASSWORD}\n", env=installation.env, text=True, check=True)


def log_in(page: Page, url: str, name: str) -> None:
    """Open a page of Dagster without a session: the log-in is shown, and leads to it."""
    page.goto(url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{url}**", timeout=60_000)


@pytest.fixture
def dagster_url(installation: Installation) -> Iterator[str]:
    """The Dagster UI of a platform that is up and has run its pipeline once; asha is an operator of
    it, vera a viewer."""
    add_user(installation, "asha", "operator")
    add_user(installation, "vera", "viewer")
    installation.run("pipeline")
    names = ("DAGSTER_PORT", "CODE_SERVER_PORT", "WEBHOOK_PORT", "OPS_PORT", "METRICS_PORT")
    ports = {name: str(free_port()) for name in names}
    platform = installation.start("up", **ports)
    try:
        deadline = time.monotonic() + 180
        assert platform.stdout
        for line in platform.stdout:
            if line.startswith("Ctrl-C"):
                break
            assert time.monotonic() < deadline
        yield f"http://127.0.0.1:{ports['DAGSTER_PORT']}"
    finally:
        platform.send_signal(signal.SIGINT)
        assert platform.wait(60) == 0


def screenshot(page: Page, name: str) -> None:
    """Keep a picture where REPAYMENT_TEST_SCREENSHOTS names a folder, for the documentation."""
    folder = os.environ.get("REPAYMENT_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
