"""Who may do what: every route of the application with every role, without a log-in, forged."""

import re
from pathlib import Path

import pytest

from repayment_platform.settings import ROOT
from repayment_platform.web.operations.access_table import Access, access_page, accesses
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import CSRF_COOKIE, Browser, Site

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PLACES = {"source_key": "0" * 32, "number": "1", "code": "UGRO"}


def address(access: Access) -> str:
    return re.sub(r"{(\w+)}", lambda match: PLACES[match[1]], access.path).replace("…", "icon.svg")


def ask(browser: Browser, access: Access) -> int:
    sent = browser.get(address(access)) if access.method == "GET" else browser.post(address(access))
    return 401 if "/login" in sent.headers.get("location", "") else sent.status_code


def test_the_table_in_the_documentation_is_that_of_the_application(site: Site) -> None:
    kept = Path(ROOT / "docs" / "access.md").read_text()
    assert kept.startswith(access_page(site.app)), (
        "write it anew: python -m repayment_platform.defs.door_table > docs/access.md"
    )


@pytest.mark.parametrize("role", [None, *Role])
def test_every_route_lets_in_whom_the_table_lets_in_and_nobody_else(
    site: Site, role: Role | None
) -> None:
    found = [access for access in accesses(site.app) if access.path not in ("/login", "/logout")]
    assert len(found) > 35
    browser = site.as_role(role) if role else site.browser()
    before = site.state()
    for access in found:
        status = ask(browser, access)
        if access.role is None:
            assert status == 200, access
        elif role is None:
            assert status == 401, access
        elif role < access.role:
            assert status == 403, access
            assert site.state() == before, access
        else:
            assert status in (200, 303, 404, 422), (access, status)
            before = site.state()


def test_no_route_takes_a_method_that_the_table_does_not_name(site: Site) -> None:
    known = {(access.path, access.method) for access in accesses(site.app)}
    browser = site.as_role(Role.ADMIN)
    browser.get("/login")
    before = site.state()
    for access in accesses(site.app):
        for method in METHODS:
            if (access.path, method) in known:
                continue
            token = {"X-CSRFToken": browser.client.cookies[CSRF_COOKIE]}
            sent = browser.client.request(method, address(access), headers=token, content=b"")
            assert sent.status_code in (404, 405), (access.path, method)
    assert site.state() == before


def test_a_form_without_its_token_or_from_another_site_changes_nothing(site: Site) -> None:
    browser = site.as_role(Role.ADMIN)
    browser.get("/")
    another = site.as_role(Role.VIEWER)
    another.get("/")
    token_of_another = another.client.cookies[CSRF_COOKIE]
    before = site.state()
    for access in accesses(site.app):
        if access.method == "POST":
            path = address(access)
            forged: list[tuple[dict[str, str], dict[str, str]]] = [
                ({}, {}),
                ({"csrftoken": "forged"}, {}),
                ({"csrftoken": token_of_another}, {}),
            ]
            token = {"csrftoken": browser.client.cookies[CSRF_COOKIE]}
            forged += [
                (token, {"Origin": "https://evil.example"}),
                (token, {"Origin": "null"}),
                (token, {"Sec-Fetch-Site": "cross-site"}),
            ]
            for data, headers in forged:
                sent = browser.client.post(path, data=data, headers=headers)
                assert sent.status_code == 403, (path, data, headers)
    assert site.state() == before


def test_a_path_that_no_screen_has_is_not_found_and_needs_a_log_in(site: Site) -> None:
    assert site.browser().get("/nothing").status_code == 303
    for path in ("/nothing", "/docs", "/openapi.json", "/payments/x/y"):
        assert site.as_role(Role.ADMIN).get(path).status_code == 404
