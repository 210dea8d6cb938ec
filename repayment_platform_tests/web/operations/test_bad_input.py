"""Addresses and forms that no page of ours makes: refused in words, never an error page."""

from typing import Any
from urllib.parse import quote

import pytest

from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import CSRF_COOKIE, Browser, Site

PLACES = (
    "/log", "/log/webhooks", "/requests", "/exceptions", "/exceptions/posted", "/audit",
    "/audit.csv", "/payments", "/reconciliation", "/exceptions/unmatched",
)  # fmt: skip
LONG = "9" * 5000


@pytest.fixture
def operator(site: Site) -> Browser:
    return site.as_role(Role.OPERATOR)


@pytest.mark.parametrize("path", PLACES)
def test_a_place_in_a_list_that_is_none_begins_the_list(operator: Browser, path: str) -> None:
    for after in ("\u00b2", "\u0967", "-1", "9" * 30, LONG, "'", "~", "2026-01-01~"):
        assert operator.get(path, after=after).status_code == 200, after


@pytest.mark.parametrize(
    "path",
    ["/payments/%00", "/exceptions/unmatched/%00", "/exceptions?q=%00", "/payments?after=%00"],
)
def test_an_address_with_a_character_that_no_text_has_is_refused(
    operator: Browser, path: str
) -> None:
    assert operator.client.get(path).status_code == 400


def test_an_endless_number_is_no_page(operator: Browser) -> None:
    for path in (f"/requests/{LONG}", f"/log/files/{LONG}", f"/requests/{LONG}/live"):
        assert operator.get(path).status_code == 404
    assert operator.post(f"/exceptions/{LONG}", {"why": "because"}).status_code == 404


def test_a_form_with_a_character_that_no_text_has_changes_nothing(
    site: Site, operator: Browser
) -> None:
    before = site.state()
    for path in ("/lenders/DMI/pause", "/exceptions/1", "/reconciliation/request"):
        assert operator.post(path, {"why": "be\0cause"}).status_code == 400
    form = (
        f'--x\r\nContent-Disposition: form-data; name="csrftoken"\r\n\r\n{_token(operator)}\r\n'
        '--x\r\nContent-Disposition: form-data; name="why"\r\n\r\n+2AA-because\r\n--x--\r\n'
    )
    half_a_character = _send(operator, form, "multipart/form-data; boundary=x; charset=utf-7")
    assert half_a_character.status_code == 400
    assert site.state() == before


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("garbage", "multipart/form-data"),
        ("&".join(f"a{n}=1" for n in range(5000)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(
    operator: Browser, body: str, content_type: str
) -> None:
    assert _send(operator, body, content_type).status_code == 400


def test_a_log_in_with_a_character_that_no_text_has_is_refused(site: Site) -> None:
    for form in ({"username": "a\0b", "password": "x"}, {"username": "ab", "password": "\0"}):
        answer = site.browser().post("/login", form)
        assert answer.status_code < 500
        assert "do not fit" in answer.text


@pytest.mark.parametrize("loan", ["UGRO-LN-\u0967\u0968\u0969", "UGRO-LN-" + "9" * 400])
def test_a_loan_is_named_with_plain_digits(site: Site, operator: Browser, loan: str) -> None:
    key = site.payment("", loan=None, ref="razorpay:pay_1", match="loan_unknown")
    before = site.state()
    form = {"other_loan": loan, "why": "because"}
    assert operator.post(f"/exceptions/unmatched/{key}", form).status_code == 422
    assert site.state() == before


def test_a_file_may_have_a_long_name_in_any_script(operator: Browser) -> None:
    for name in ("\u0905" * 200 + ".csv", "..", 'a"b\r\nSet-Cookie: x=1.csv', "/etc/passwd"):
        sent = {"file": (quote(name) if "\r" in name else name, b"a,b\n1,2\n", "text/csv")}
        answer = operator.post("/log/upload", {"source": "RAW_ARTHMATE_NACH_CSV"}, files=sent)
        assert answer.status_code == 200, name


def test_a_correction_of_no_file_is_not_taken_for_a_new_file(operator: Browser) -> None:
    sent = {"file": ("a.csv", b"a,b\n1,2\n", "text/csv")}
    form = {"source": "RAW_ARTHMATE_NACH_CSV", "corrects": "file 12"}
    assert operator.post("/log/upload", form, files=sent).status_code == 400


def _token(browser: Browser) -> str:
    browser.get("/login")
    return browser.client.cookies[CSRF_COOKIE]


def _send(browser: Browser, body: str, content_type: str) -> Any:
    headers = {"content-type": content_type}
    return browser.client.post("/lenders/DMI/pause", content=body, headers=headers)
