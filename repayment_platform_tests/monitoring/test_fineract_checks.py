"""What `./run doctor` says of Fineract: its certificate, our rights there, and how it is set up."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from repayment_platform.fineract.client import today_in_india
from repayment_platform.monitoring.check import Check
from repayment_platform.monitoring.fineract_checks import fineract_checks
from repayment_platform.settings import ROOT, Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.certificates import BAD, SAYS, UNKNOWN_CA, Certificates, showing
from repayment_platform_tests.conftest import Sandbox

NEEDED = ["READ_LOAN", "REPAYMENT_LOAN", "ADJUST_LOAN"]
LOOKS = ["READ_CONFIGURATION", "READ_PERMISSION", "READ_BUSINESS_DATE"]


def checks(settings: Settings, urls: DatabaseUrls) -> dict[str, Check]:
    return {check.name: check for check in fineract_checks(settings, urls)}


def test_the_user_that_the_documentation_makes_is_right(
    settings: Settings, database_urls: DatabaseUrls, sandbox: Sandbox
) -> None:
    documented = re.search(r'"permissions": ({.*?})', (ROOT / "docs/fineract.md").read_text())
    assert documented
    rights = list(json.loads(documented[1]))
    sandbox.post("faults", {"rights": rights})
    assert not [check for check in fineract_checks(settings, database_urls) if not check.right]
    assert rights == [*NEEDED, *LOOKS]


def told(settings: Settings, urls: DatabaseUrls, sandbox: Sandbox, **plan: Any) -> dict[str, Check]:
    sandbox.post("faults", plan)
    return checks(settings, urls)


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        (NEEDED, None),
        (["ALL_FUNCTIONS"], None),
        (["ALL_FUNCTIONS_READ", *NEEDED[1:]], None),
        (NEEDED[:2], "ADJUST_LOAN (to undo)"),
        ([], "READ_LOAN (to look up), REPAYMENT_LOAN (to post), ADJUST_LOAN (to undo)"),
    ],
    ids=str,
)
def test_a_right_that_is_missing_is_named_with_what_it_is_for(
    settings: Settings,
    database_urls: DatabaseUrls,
    sandbox: Sandbox,
    rights: list[str],
    missing: str | None,
) -> None:
    found = told(settings, database_urls, sandbox, rights=rights)["rights in Fineract"]
    expected = f"missing: {missing}" if missing else "mifos may look up, post and undo"
    assert (found.right, found.seen) == (missing is None, expected)


@pytest.mark.parametrize(
    ("rights", "too_many"),
    [
        ([*NEEDED, *LOOKS, "READ_CLIENT", "ALL_FUNCTIONS_READ"], "none"),
        (
            ["ALL_FUNCTIONS"],
            "ALL_FUNCTIONS passes maker-checker and the lock of the close of business",
        ),
        (
            [*NEEDED, "CHECKER_SUPER_USER", "BYPASS_LOAN_WRITE_PROTECTION"],
            "BYPASS_LOAN_WRITE_PROTECTION passes the lock of the close of business, "
            "CHECKER_SUPER_USER passes maker-checker",
        ),
        (
            [*NEEDED, "WRITEOFF_LOAN", "CREATE_CLIENT", "CREATE_LOAN", "DELETE_LOAN"],
            "CREATE_CLIENT, CREATE_LOAN, DELETE_LOAN, and 1 more",
        ),
    ],
    ids=["enough", "all", "guards", "others"],
)
def test_rights_that_are_not_needed_are_named(
    settings: Settings,
    database_urls: DatabaseUrls,
    sandbox: Sandbox,
    rights: list[str],
    too_many: str,
) -> None:
    found = told(settings, database_urls, sandbox, rights=rights)["no more rights than needed"]
    assert (found.right, found.seen) == (too_many == "none", too_many)


def test_a_password_that_has_to_be_renewed_is_told(
    settings: Settings, database_urls: DatabaseUrls, sandbox: Sandbox
) -> None:
    found = told(settings, database_urls, sandbox, password_expired=True)["rights in Fineract"]
    assert (found.right, found.seen) == (False, "the password has expired")


@pytest.mark.parametrize(
    ("on", "right", "seen"),
    [
        (None, True, "off for REPAYMENT_LOAN"),
        ("adjustment", True, "off for REPAYMENT_LOAN"),
        ("repayment", False, "on for REPAYMENT_LOAN"),
    ],
)
def test_maker_checker_is_told_for_repayments(
    settings: Settings,
    database_urls: DatabaseUrls,
    sandbox: Sandbox,
    on: str | None,
    right: bool,
    seen: str,
) -> None:
    rules = [{"kind": "maker_checker", "on": on}] if on else []
    found = told(settings, database_urls, sandbox, rules=rules)["maker-checker"]
    assert (found.right, found.seen) == (right, seen)


@pytest.mark.parametrize(
    ("days", "right", "seen"),
    [
        (None, True, "Fineract goes by the calendar"),
        (0, True, "{day}"),
        (3, False, "{day}, days behind: 3"),
    ],
)
def test_a_business_date_that_is_behind_is_told(
    settings: Settings,
    database_urls: DatabaseUrls,
    sandbox: Sandbox,
    days: int | None,
    right: bool,
    seen: str,
) -> None:
    rules = [] if days is None else [{"kind": "business_date_behind", "days": days}]
    found = told(settings, database_urls, sandbox, rules=rules)["business date"]
    day = today_in_india() - timedelta(days or 0)
    assert (found.right, found.seen) == (right, seen.format(day=day))


def test_what_the_user_may_not_ask_is_said_and_is_no_fault(
    settings: Settings, database_urls: DatabaseUrls, sandbox: Sandbox
) -> None:
    found = told(settings, database_urls, sandbox, rights=NEEDED)
    for name, right in (("maker-checker", LOOKS[1]), ("business date", LOOKS[2])):
        assert found[name].right
        assert found[name].seen == f"not told: mifos lacks READ_CONFIGURATION or {right}"


def test_what_cannot_be_asked_is_a_fault(
    settings: Settings, database_urls: DatabaseUrls, sandbox: Sandbox
) -> None:
    rules = [{"kind": "gateway", "on": "other", "skip": 2}]
    found = told(settings, database_urls, sandbox, rules=rules)
    for name in ("maker-checker", "business date"):
        assert not found[name].right
        assert found[name].seen == "not told: HTTP 502 (text/html) not from Fineract"


@pytest.mark.parametrize(
    ("version", "right"), [(None, True), ("1.8.4", False), ("1.9.0", True), ("1.16.0-X", True)]
)
def test_a_version_is_told_where_fineract_tells_it_and_too_old_is_wrong(
    settings: Settings,
    database_urls: DatabaseUrls,
    sandbox: Sandbox,
    version: str | None,
    right: bool,
) -> None:
    found = told(settings, database_urls, sandbox, version=version)["Fineract"]
    says = f"version {version}" if version else "version not told"
    assert (found.right, found.seen) == (right, f"the built-in sandbox, {says}")


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
