"""What operators see and do on the operations screens, with the whole platform running."""

import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from repayment_platform_tests.browser.conftest import screenshot
from repayment_platform_tests.faults.conftest import Installation
from repayment_platform_tests.ports import free_port

pytestmark = [pytest.mark.whole, pytest.mark.browser, pytest.mark.timeout(420)]

SLOW = 120_000  # ms: a run waits for the daemon, and CI has two busy cores
OWN = "a password of my own"


@dataclass(frozen=True)
class Platform:
    url: str
    admin_password: str


@pytest.fixture
def platform(installation: Installation) -> Iterator[Platform]:
    """A platform that is up, with four eyes, and has run its pipeline once."""
    installation.run("pipeline")
    names = ("DAGSTER_PORT", "CODE_SERVER_PORT", "WEBHOOK_PORT", "OPS_PORT", "METRICS_PORT")
    ports = {name: str(free_port()) for name in names}
    up = installation.start("up", **ports, RECON_FOUR_EYES="true")
    password = ""
    try:
        assert up.stdout
        for line in up.stdout:
            if found := re.match(r"\s+password\s+(\S+)", line):
                password = found[1]
            if line.startswith("Ctrl-C"):
                break
        yield Platform(f"http://127.0.0.1:{ports['OPS_PORT']}", password)
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0


def log_in(browser: Browser, url: str, name: str, one_time: str) -> Page:
    """A browser of the user's own, with a password of the user's own."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    problems: list[str] = []
    page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(one_time)
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Old password").fill(one_time)
    page.get_by_label("New password", exact=True).fill(OWN)
    page.get_by_label("New password again").fill(OWN)
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert problems == []
    return page


def user(installation: Installation, name: str, role: str) -> str:
    output = installation.run("users", "add", name, role)
    return output.rsplit(": ", 1)[1].strip()


def test_matched_payments_are_requested_approved_and_posted_once_in_a_real_browser(
    installation: Installation, platform: Platform, page: Page
) -> None:
    browser = page.context.browser
    assert browser
    admin = log_in(browser, platform.url, "admin", platform.admin_password)
    screenshot(admin, "operations_overview")
    asha = log_in(browser, platform.url, "asha", user(installation, "asha", "operator"))
    ravi = log_in(browser, platform.url, "ravi", user(installation, "ravi", "approver"))

    asha.get_by_role("link", name="Reconciliation", exact=True).click()
    asha.get_by_label("Lender").select_option("UGRO")
    asha.get_by_label("Reports").select_option("matched")
    asha.get_by_role("button", name="Filter").click()
    expect(asha).to_have_url(re.compile("lender=UGRO&match=matched"))
    screenshot(asha, "operations_reconciliation")
    asha.get_by_role("button", name="Reconcile all").click()
    expect(asha.get_by_role("heading", name="Reconcile: preview")).to_be_visible()
    asha.get_by_label("Why", exact=True).fill("month end")
    screenshot(asha, "operations_preview")
    asha.get_by_role("button", name=re.compile(r"^Request \d+ payment")).dblclick()
    expect(asha.get_by_text("Awaits approval")).to_be_visible()
    expect(asha.get_by_text("It is your own")).to_be_visible()
    assert installation.sql('SELECT count(*) FROM "CORE"."CORE_RECON_REQUEST"') == [["1"]]

    ravi.get_by_role("link", name="Requests", exact=True).click()
    ravi.get_by_role("link", name="Request 1").click()
    ravi.get_by_label("Reason").fill("checked with the bank")
    ravi.get_by_role("button", name="Approve").dblclick()
    expect(ravi.locator("[data-state=done]")).to_be_visible(timeout=SLOW)
    screenshot(ravi, "operations_request")
    asha.reload()
    expect(asha.locator("[data-state=done]")).to_be_visible(timeout=SLOW)

    keys = [
        key
        for (key,) in installation.sql('SELECT source_key FROM "CORE"."CORE_RECON_REQUEST_ITEM"')
    ]
    posted = Counter(row["externalId"] for row in installation.ledger() if not row["reversed"])
    succeeded = {
        key
        for (key,) in installation.sql(
            """SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
               WHERE status = 'success' AND recon_source IS NOT NULL"""
        )
    }
    assert keys
    assert succeeded
    assert succeeded <= set(keys)
    assert [posted[key] for key in keys] == [int(key in succeeded) for key in keys]

    asha.goto(f"{platform.url}/payments/{sorted(succeeded)[0]}")
    for told in ("Reconciliation requested by asha", "approved by ravi", "Posted in Fineract"):
        expect(asha.get_by_text(told).first).to_be_visible()
    screenshot(asha, "operations_payment")
