"""What a data engineer sees and does in Dagster's UI."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from repayment_platform_tests.browser.conftest import log_in, screenshot
from repayment_platform_tests.faults.conftest import Installation

pytestmark = [pytest.mark.whole, pytest.mark.browser, pytest.mark.timeout(420)]

SLOW = 120_000  # ms: a run waits for the daemon's queue, and CI has two busy cores


def test_lineage_a_run_from_the_ui_green_checks_and_a_planted_double_turns_one_red(
    installation: Installation, dagster_url: str, page: Page
) -> None:
    log_in(page, f"{dagster_url}/asset-groups", "asha")
    for group in ("raw", "base", "core", "posting"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=SLOW)
    screenshot(page, "lineage")

    page.goto(f"{dagster_url}/assets/posted_repayments?view=checks")
    expect(page.get_by_text("Succeeded")).to_have_count(5, timeout=SLOW)

    page.goto(f"{dagster_url}/assets/posted_repayments")
    page.get_by_role("button", name="Materialize").first.click()
    expect(page.get_by_text("Launched run")).to_be_visible(timeout=SLOW)
    # This very run: the schedule may add one of its own to the list of runs at any moment.
    page.get_by_text("View", exact=True).click()
    page.wait_for_url(re.compile("/runs/"), timeout=SLOW)
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=SLOW)
    page.goto(f"{dagster_url}/runs")
    expect(page.get_by_text("Success", exact=True).nth(1)).to_be_visible(timeout=SLOW)
    screenshot(page, "runs")
    page.goto(f"{dagster_url}/assets/posted_repayments")
    expect(page.get_by_text("posted_rupees").first).to_be_visible(timeout=SLOW)
    screenshot(page, "posted_repayments")

    plant_double(installation)
    page.goto(f"{dagster_url}/assets/posted_repayments?view=checks")
    page.get_by_role("button", name="Execute all").click()
    page.get_by_text("ledger_agrees").first.click()
    expect(page.get_by_text("Failed", exact=False).first).to_be_visible(timeout=SLOW)
    screenshot(page, "check_red")


def plant_double(installation: Installation) -> None:
    """Post a payment that we have posted a second time, as a stray program would."""
    twin = installation.ledger()[0]
    body = {
        "transactionDate": twin["date"],
        "transactionAmount": float(twin["amount"]),
        "externalId": "posted-by-a-stray-program",
        "dateFormat": "yyyy-MM-dd",
        "locale": "en",
    }
    url = (
        f"http://127.0.0.1:{installation.sandbox_port}/fineract-provider/api/v1/loans/external-id/"
        f"{twin['loanExternalId']}/transactions?command=repayment"
    )
    httpx.post(
        url,
        json=body,
        auth=("mifos", "password"),
        headers={"Fineract-Platform-TenantId": "default"},
    ).raise_for_status()
