"""Logging in and staying logged in: passwords, sessions, tries, headers."""

import asyncio
import stat
from datetime import timedelta

import pytest
from starlette.types import Message

from repayment_platform.web.operations import sessions, users
from repayment_platform.web.operations.auth import COOKIE, REFUSED, TOO_MANY
from repayment_platform.web.operations.login_limit import (
    FIRST_WAIT_SECONDS,
    FREE_TRIES,
    LONGEST_WAIT_SECONDS,
    LoginLimit,
)
from repayment_platform.web.operations.protection import LARGEST_FORM
from repayment_platform.web.operations.users import BadUser, Role
from repayment_platform_tests.web.operations.site import HERE, Browser, Site

PASSWORD = "wind over the paddy"


def enter(browser: Browser, name: str, password: str) -> str:
    """Log in; returns the path to which that leads, or the page that refuses."""
    sent = browser.post("/login", {"username": name, "password": password})
    return sent.headers.get("location", "").removeprefix(HERE) or sent.text


@pytest.fixture
def asha(site: Site) -> str:
    users.add(site.connection, "asha", Role.OPERATOR, PASSWORD, "test")
    return "asha"


def test_a_right_password_opens_a_session_that_ends_with_the_log_out(site: Site, asha: str) -> None:
    browser = site.browser()
    assert enter(browser, "Asha ", PASSWORD) == "/"
    assert browser.get("/").status_code == 200
    token = browser.client.cookies[COOKIE]
    assert browser.post("/logout").status_code == 303
    browser.client.cookies.set(COOKIE, token)
    assert browser.get("/").status_code == 303
    actions = [(who, action) for who, action, _ in site.audited()]
    assert actions == [("test", "user.add"), ("asha", "session.start"), ("asha", "session.end")]


def test_a_wrong_password_an_unknown_name_and_a_disabled_user_are_told_apart_by_nobody(
    site: Site, asha: str
) -> None:
    users.add(site.connection, "ravi", Role.VIEWER, PASSWORD, "test")
    users.set_active(site.connection, "ravi", False, "test")
    for name, password in ((asha, "not this one, no"), ("nobody", PASSWORD), ("ravi", PASSWORD)):
        assert REFUSED in enter(site.browser(), name, password)
    assert site.one('SELECT count(*) FROM "CORE"."CORE_SESSION"') == 0


def test_the_sixth_try_of_a_name_is_refused_even_with_the_right_password(
    site: Site, asha: str
) -> None:
    browser = site.browser()
    for _ in range(5):
        assert REFUSED in enter(browser, asha, "not this one, no")
    assert TOO_MANY in enter(browser, asha, PASSWORD)
    assert site.one('SELECT count(*) FROM "CORE"."CORE_SESSION"') == 0


def test_thirty_wrong_log_ins_from_one_address_lock_nobody_out_from_another(
    site: Site, asha: str
) -> None:
    stranger = site.browser(address="203.0.113.9")
    for _ in range(30):
        enter(stranger, asha, "not this one, no")
    assert TOO_MANY in enter(stranger, asha, PASSWORD)
    assert enter(site.browser(), asha, PASSWORD) == "/"


def test_strangers_everywhere_keep_a_user_out_only_where_she_has_never_been(
    site: Site, asha: str
) -> None:
    assert enter(site.browser(address="198.51.100.1"), asha, PASSWORD) == "/"
    for n in range(30):
        enter(site.browser(address=f"203.0.113.{n}"), asha, "not this one, no")
    assert TOO_MANY in enter(site.browser(address="192.0.2.7"), asha, PASSWORD)
    assert enter(site.browser(address="198.51.100.1"), asha, PASSWORD) == "/"


def test_each_further_try_waits_twice_as_long_and_a_log_in_ends_that() -> None:
    now = [0.0]
    limit = LoginLimit(lambda: now[0])

    def allows() -> bool:
        return limit.allows("asha", "203.0.113.9", lambda: True)

    assert [allows() for _ in range(FREE_TRIES + 1)] == [True] * FREE_TRIES + [False]
    waits = []
    for _ in range(8):
        wait = 0
        while not allows():
            wait += 1
            now[0] += 1
        waits.append(wait)
    doubled = [FIRST_WAIT_SECONDS * 2**n for n in range(8)]
    assert waits == [min(wait, LONGEST_WAIT_SECONDS) for wait in doubled]
    limit.succeeded("asha", "203.0.113.9")
    assert allows()


def test_an_ipv6_subscriber_is_one_address_whichever_it_takes() -> None:
    limit = LoginLimit(lambda: 0.0)
    tries = [limit.allows("asha", f"2001:db8:1:2::{n:x}", lambda: True) for n in range(6)]
    assert tries == [True] * 5 + [False]
    assert limit.allows("asha", "2001:db8:1:3::1", lambda: True)


def test_thirty_names_tried_from_one_address_are_enough(site: Site) -> None:
    browser = site.browser()
    for n in range(30):
        assert REFUSED in enter(browser, f"name{n}", "not this one, no")
    assert TOO_MANY in enter(browser, "name31", "not this one, no")


def test_a_session_left_open_is_no_place_to_guess_the_password_at(site: Site, asha: str) -> None:
    browser = site.browser(asha)
    form = {"old": "not this one, no", "new": "stones in a river", "again": "stones in a river"}
    for _ in range(5):
        assert browser.post("/account/password", form).status_code == 422
    refused = browser.post("/account/password", form | {"old": PASSWORD})
    assert refused.status_code == 429
    assert TOO_MANY in refused.text
    assert enter(site.browser(), asha, PASSWORD) == "/", "nor is it one to lock its user out from"


@pytest.mark.parametrize(
    ("column", "age"), [("last_seen_at", sessions.IDLE), ("created_at", sessions.LONGEST)]
)
def test_a_session_ends_when_nobody_uses_it_and_in_any_case(
    site: Site, column: str, age: timedelta
) -> None:
    browser = site.as_role(Role.ADMIN)
    update = f'UPDATE "CORE"."CORE_SESSION" SET {column} = now() - %s'
    site.connection.execute(update.encode(), (age - timedelta(minutes=1),))
    assert browser.get("/").status_code == 200
    site.connection.execute(update.encode(), (age + timedelta(seconds=1),))
    before = site.state()
    assert browser.get("/").status_code == 303
    assert browser.post("/lenders/UGRO/pause", {"why": "because"}).status_code == 303
    assert site.state() == before


def test_using_a_session_keeps_it_alive(site: Site) -> None:
    browser = site.as_role(Role.VIEWER)
    site.connection.execute(
        """UPDATE "CORE"."CORE_SESSION" SET last_seen_at = now() - interval '20 min'"""
    )
    browser.get("/")
    age = site.one('SELECT now() - last_seen_at FROM "CORE"."CORE_SESSION"')
    assert age < timedelta(minutes=1)


def test_a_role_taken_away_and_a_user_disabled_hold_from_the_next_click(site: Site) -> None:
    browser = site.as_role(Role.OPERATOR)
    users.set_role(site.connection, "operator", Role.VIEWER, "test")
    assert browser.get("/log/upload").status_code == 403
    users.set_active(site.connection, "operator", False, "test")
    assert browser.get("/").status_code == 303


def test_a_session_is_nobodys_once_its_user_is_disabled_even_if_it_was_left_standing(
    site: Site,
) -> None:
    browser = site.as_role(Role.OPERATOR)
    site.connection.execute('UPDATE "CORE"."CORE_USER" SET active = false')
    assert site.one('SELECT count(*) FROM "CORE"."CORE_SESSION"') == 1
    assert browser.get("/").status_code == 303


def test_a_one_time_password_leads_to_nothing_but_choosing_ones_own(site: Site) -> None:
    made = users.first_admin(site.connection)
    assert made
    assert users.first_admin(site.connection) is None
    browser, other = site.browser(), site.browser()
    enter(browser, "admin", made)
    enter(other, "admin", made)
    before = site.state()
    for sent in (browser.get("/payments"), browser.post("/lenders/UGRO/pause", {"why": "no"})):
        assert sent.headers["location"] == "/account/password"
    assert site.state() == before
    form = {"old": made, "new": PASSWORD, "again": PASSWORD}
    for wrong in ({"old": "x"}, {"again": "x"}, {"new": "short", "again": "short"}):
        assert browser.post("/account/password", form | wrong).status_code == 422
    assert browser.post("/account/password", form).status_code == 303
    assert browser.get("/payments").status_code == 200
    assert other.get("/payments").status_code == 303, "the sessions of the old password have ended"
    assert enter(site.browser(), "admin", PASSWORD) == "/"


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "aaaaaaaaaaaaaaaa",
        "my-name-is-mira",
        "x" * 201,
        "password1234",
        "qwertyuiop12",
        "Repayment2026",
        "P@ssw0rd1234",
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(site: Site, password: str) -> None:
    if not password:
        assert users.add(site.connection, "mira", Role.VIEWER, "", "test")
        return
    with pytest.raises(BadUser):
        users.add(site.connection, "mira", Role.VIEWER, password, "test")


def test_no_password_stands_in_the_database_or_the_audit_log(site: Site, asha: str) -> None:
    enter(site.browser(), asha, PASSWORD)
    users.set_password(site.connection, asha, PASSWORD + "!", "test")
    rows = site.connection.execute(
        """SELECT t::text FROM "CORE"."CORE_AUDIT_LOG" t UNION ALL
           SELECT t::text FROM "CORE"."CORE_USER" t"""
    ).fetchall()
    assert rows
    assert not [row for row in rows if PASSWORD in row[0]]


def test_a_log_in_leads_only_to_pages_of_this_site(site: Site, asha: str) -> None:
    form = {"username": asha, "password": PASSWORD}
    for wanted, led in (
        ("/payments?lender=UGRO", "/payments?lender=UGRO"),
        ("https://evil.example/", f"{HERE}/"),
        ("//evil.example/", f"{HERE}/"),
    ):
        sent = site.browser().post("/login", form, params={"next": wanted})
        assert sent.headers["location"] == led


def test_every_answer_forbids_frames_scripts_from_elsewhere_and_guessing_types(site: Site) -> None:
    for path in ("/login", "/", "/nothing", "/static/operations.css", "/healthz"):
        headers = site.as_role(Role.ADMIN).get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert (headers.get("cache-control") == "no-store") is ("/static/" not in path)


def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(
    site: Site, asha: str
) -> None:
    sent = site.browser().post("/login", {"username": asha, "password": PASSWORD})
    cookie = next(c for c in sent.headers.get_list("set-cookie") if c.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


def test_the_signing_key_is_readable_by_its_owner_only_and_stays(site: Site) -> None:
    key = site.settings.home / "operations.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_text()) == 64


def test_a_form_that_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    browser = site.as_role(Role.ADMIN)
    assert browser.post("/login", {"username": "x" * LARGEST_FORM}).status_code == 413


def test_what_nobody_sends_is_refused_before_it_is_read(site: Site) -> None:
    """Here the body is never there to be read: whoever waits for it waits for ever."""
    headers = {"content-length": str(40 * 1024 * 1024), "content-type": "multipart/form-data"}

    async def ask() -> list[Message]:
        sent: list[Message] = []
        scope = {
            "type": "http", "method": "POST", "path": "/log/upload", "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:8082")]
            + [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip

        async def receive() -> Message:
            raise AssertionError("it was read")

        async def send(message: Message) -> None:
            sent.append(message)

        await site.app(scope, receive, send)
        return sent

    [start, _] = asyncio.run(ask())
    assert start["status"] == 303
    assert (b"location", b"/login") in start["headers"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9999", "127.0.0.1.evil.example:8082"])
def test_a_name_of_somebody_else_that_points_here_is_not_answered(site: Site, host: str) -> None:
    browser = site.as_role(Role.ADMIN)
    assert browser.client.get("/", headers={"host": host}).status_code == 421
    assert browser.client.get("/healthz", headers={"host": host}).status_code == 200


def test_the_last_admin_stays(site: Site) -> None:
    for name in ("mira", "devi"):
        users.add(site.connection, name, Role.ADMIN, PASSWORD, "test")
    users.set_active(site.connection, "mira", False, "test")
    with pytest.raises(BadUser, match="devi is the last admin"):
        users.set_active(site.connection, "devi", False, "test")
    with pytest.raises(BadUser, match="devi is the last admin"):
        users.set_role(site.connection, "devi", Role.APPROVER, "test")
    users.set_active(site.connection, "mira", True, "test")
    users.set_role(site.connection, "devi", Role.APPROVER, "test")


def test_a_log_in_may_lead_on_to_dagster(site: Site, asha: str) -> None:
    form = {"username": asha, "password": PASSWORD}
    for wanted, led in (
        ("http://127.0.0.1:3000/runs", "http://127.0.0.1:3000/runs"),
        ("http://127.0.0.1:3000.evil.example/runs", f"{HERE}/"),
    ):
        sent = site.browser().post("/login", form, params={"next": wanted})
        assert sent.headers["location"] == led
