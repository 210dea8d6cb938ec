"""Reconciling in Dagster's launchpad: run config typed, a dry run first, then the real one."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from repayment_platform_tests.browser.conftest import log_in, screenshot
from repayment_platform_tests.faults.conftest import Installation

pytestmark = [pytest.mark.whole, pytest.mark.browser, pytest.mark.timeout(420)]

SLOW = 120_000  # ms: a run waits for the daemon's queue, and CI has two busy cores


def test_an_operator_reconciles_in_the_launchpad_a_dry_run_first(
    installation: Installation, dagster_url: str, page: Page
) -> None:
    before = {row["externalId"] for row in installation.ledger()}
    postable = {key for (key,) in installation.sql(POSTABLE)}
    assert postable
    ugro = {"lender": "UGRO", "requested_by": "somebody else", "why": "month end"}
    log_in(page, f"{dagster_url}/runs", "asha")

    launch(page, dagster_url, ugro)  # dry_run is on where nothing else is said
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=SLOW)
    page.goto(f"{dagster_url}/assets/reconciled_repayments")
    expect(page.get_by_text("dry_run", exact=True).first).to_be_visible(timeout=SLOW)
    screenshot(page, "launchpad_dry_run")
    assert {row["externalId"] for row in installation.ledger()} == before

    launch(page, dagster_url, ugro | {"dry_run": False})
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=SLOW)
    page.goto(f"{dagster_url}/assets/reconciled_repayments")
    expect(page.get_by_text("posted_rupees").first).to_be_visible(timeout=SLOW)
    screenshot(page, "reconciled_repayments")

    posted = [row["externalId"] for row in installation.ledger()]
    assert len(posted) == len(set(posted))
    refused = {key for (key,) in installation.sql(REFUSED)}
    assert set(posted) - before == postable - refused
    assert installation.sql('SELECT state, requested_by FROM "CORE"."CORE_RECON_REQUEST"') == [
        ["done", "asha"]
    ]
    page.goto(f"{dagster_url}/assets/reconciled_repayments?view=checks")
    expect(page.get_by_text("Succeeded")).to_have_count(3, timeout=SLOW)


POSTABLE = """
SELECT source_key FROM "CORE"."CORE_RECON_STATUS"
WHERE source_lender = 'UGRO' AND posting_status = 'waiting'
"""
REFUSED = """
SELECT source_key FROM "CORE"."CORE_RECON_STATUS"
WHERE source_lender = 'UGRO' AND posting_status IN ('failed', 'held')
"""


def launch(page: Page, dagster_url: str, config: dict[str, Any]) -> None:
    """Type the run config, launch the run, and look at it."""
    page.goto(f"{dagster_url}/locations/repayment_platform/jobs/reconcile_repayments/playground")
    editor = page.locator(".CodeMirror").first
    # At first all defaults are shown, afterwards what was typed last.
    shown = re.compile('dry_run: true|"requested_by": "somebody else"')
    expect(editor).to_contain_text(shown, timeout=SLOW)
    editor.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(json.dumps({"ops": {"reconciled_repayments": {"config": config}}}))
    screenshot(page, "launchpad")
    button = page.get_by_role("button", name="Launch Run")
    expect(button).to_be_enabled(timeout=SLOW)
    with page.expect_navigation(url=re.compile("/runs/"), timeout=SLOW):
        button.click()
