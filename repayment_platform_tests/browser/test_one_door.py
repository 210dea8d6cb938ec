"""One log-in for both: a viewer looks, an operator launches, and the audit log has the name."""

import re

import pytest
from playwright.sync_api import Page, expect

from repayment_platform_tests.browser.conftest import PASSWORD, log_in, screenshot
from repayment_platform_tests.faults.conftest import Installation

pytestmark = [pytest.mark.whole, pytest.mark.browser, pytest.mark.timeout(420)]

SLOW = 120_000  # ms: a run waits for the daemon's queue, and CI has two busy cores
ASSET = "assets/posted_repayments"


def test_one_log_in_opens_both_and_the_name_of_who_launched_stands_in_the_audit_log(
    installation: Installation, dagster_url: str, page: Page
) -> None:
    log_in(page, f"{dagster_url}/{ASSET}", "vera")
    materialize = page.get_by_role("button", name="Materialize").first
    expect(materialize).to_be_disabled(timeout=SLOW)
    expect(page.get_by_text("vera (viewer)")).to_be_visible()
    screenshot(page, "dagster_viewer")

    page.get_by_role("link", name="Operations screens, log out").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible(timeout=SLOW)
    page.goto(f"{dagster_url}/runs")
    expect(page.get_by_label("Password")).to_be_visible(timeout=SLOW)

    page.get_by_label("Name").fill("asha")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{dagster_url}/runs**", timeout=SLOW)
    page.goto(f"{dagster_url}/{ASSET}")
    materialize.click(timeout=SLOW)
    expect(page.get_by_text("Launched run")).to_be_visible(timeout=SLOW)
    page.get_by_text("View", exact=True).click()
    page.wait_for_url(re.compile("/runs/"), timeout=SLOW)
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=SLOW)

    launched = "SELECT DISTINCT value FROM dagster.run_tags WHERE key = 'launched_by'"
    assert installation.sql(launched) == [["asha"]]

    page.get_by_role("link", name="Operations screens, log out").click()
    page.get_by_role("link", name="Audit").click()
    row = page.get_by_role("row").filter(has_text="run.launch")
    expect(row.first).to_contain_text("asha", timeout=SLOW)
    screenshot(page, "audit_launch")
