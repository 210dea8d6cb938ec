"""From the Reconciliation list over preview and request to the decision."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.reconciliation.selection import MatchStatus
from repayment_platform.web.operations.show import money
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import DAY, Browser, Site
from repayment_platform_tests.web.operations.test_payments import listed

FILTERED = {"of": "filtered"}


@pytest.fixture
def operator(site: Site) -> Browser:
    return site.as_role(Role.OPERATOR)


@pytest.fixture(params=[False, True])
def four_eyes(site: Site, request: Any) -> bool:
    site.settings.recon_four_eyes = request.param
    return bool(request.param)


def digest_of(page: str) -> str:
    found = re.search(r'name="digest" value="([^"]*)"', page)
    assert found
    return found[1]


def ask(operator: Browser, form: dict[str, Any]) -> Any:
    """Preview and request, as the two pages do."""
    page = operator.post("/reconciliation/preview", form)
    assert page.status_code == 200, page.text
    sent = form | {"digest": digest_of(page.text), "why": "month end"}
    return operator.post("/reconciliation/request", sent)


def test_the_list_shows_what_a_plain_query_says_under_every_filter(site: Site) -> None:
    days = [DAY - timedelta(days=n % 9) for n in range(120)]
    for n, day in enumerate(days):
        status = list(MatchStatus)[n % 6]
        state = (
            "" if status in ("loan_unknown", "reversed") else ("success", "waiting", "held")[n % 3]
        )
        lender = ("UGRO", "GB", "VIVRITI")[n % 3 - n % 2]
        site.payment(state, lender, f"{lender}-LN-{n % 4:06}", day=day, match=status)
    browser = site.as_role(Role.VIEWER)
    posted = """EXISTS (SELECT FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
                        WHERE p.source_key = r.source_key)"""
    opened = """EXISTS (SELECT FROM "CORE"."CORE_OPEN_WORK" w
                        WHERE w.source_key = r.source_key)"""
    for query, condition in (
        ({"posting": "every"}, "true"),
        ({"posting": "posted"}, posted),
        ({}, opened),
        ({"match": "matched"}, f"match_status = 'matched' AND {opened}"),
        ({"match": "reversed"}, "match_status = 'reversed'"),
        ({"lender": "UGRO", "posting": "every"}, "source_lender = 'UGRO'"),
        ({"lender": "GB", "from": str(days[3]), "to": str(days[1])},
         f"source_lender = 'GB' AND payment_date BETWEEN '{days[3]}' AND '{days[1]}' AND {opened}"),
        ({"loan": "ugro-ln-000002"}, f"loan_external_id = 'UGRO-LN-000002' AND {opened}"),
        ({"channel": "NACH"}, "false"),
    ):  # fmt: skip
        expected = site.connection.execute(
            f"""SELECT source_key FROM "CORE"."CORE_RECON_RECORD" r WHERE {condition}
                ORDER BY payment_date DESC, source_key DESC""".encode()
        ).fetchall()
        assert listed(browser, "/reconciliation", **query) == [key for (key,) in expected], query
    lines = browser.get("/reconciliation.csv", posting="every").text.splitlines()
    assert len(lines) == 121


def test_all_that_is_filtered_becomes_one_request_with_its_facts(
    site: Site, operator: Browser, four_eyes: bool
) -> None:
    wanted = [site.payment("waiting", amount=f"{n}.50", match="matched") for n in (1, 2)]
    site.payment("waiting", amount="9.00", match="gateway_only")
    held = site.payment("held", amount="5.00", match="matched", reason="held")
    site.hold(held)
    form = FILTERED | {"lender": "UGRO", "match": "matched"}
    page = operator.post("/reconciliation/preview", form).text
    assert money(Decimal("4.00")) in page
    assert "Held: possible duplicate" in page
    assert site.one('SELECT count(*) FROM "CORE"."CORE_RECON_REQUEST"') == 0
    assert ask(operator, form).headers["location"] == "/requests/1"
    keys = site.connection.execute('SELECT source_key FROM "CORE"."CORE_RECON_REQUEST_ITEM"')
    assert sorted(key for (key,) in keys) == sorted(wanted)
    state = site.one('SELECT state FROM "CORE"."CORE_RECON_REQUEST"')
    assert state == ("awaiting_approval" if four_eyes else "approved")
    assert site.audited() == [("operator", "recon.request", "request 1")]
    shown = operator.get("/requests/1").text
    assert "month end" in shown
    assert ('data-live="' in shown) is not four_eyes


def test_only_what_is_ticked_is_requested(site: Site, operator: Browser) -> None:
    ticked = site.payment("waiting", match="gateway_only")
    site.payment("waiting", match="gateway_only")
    assert ask(operator, {"of": "picked", "key": [ticked]}).headers["location"] == "/requests/1"
    assert site.one('SELECT source_key FROM "CORE"."CORE_RECON_REQUEST_ITEM"') == ticked
    nothing = operator.post("/reconciliation/preview", {"of": "picked"})
    assert nothing.headers["location"] == "/reconciliation"


@pytest.mark.parametrize("key", ["nonsense", "0" * 31, "'; DROP TABLE x; --"])
def test_a_forged_key_is_refused(site: Site, operator: Browser, key: str) -> None:
    before = site.state()
    form = {"of": "picked", "key": [key], "digest": "x", "why": "because"}
    assert operator.post("/reconciliation/preview", form).status_code == 303
    assert operator.post("/reconciliation/request", form).status_code == 303
    assert site.state() == before


def test_a_payment_of_an_automated_lender_cannot_be_slipped_in(
    site: Site, operator: Browser
) -> None:
    automated = site.payment("waiting", "DMI", "DMI-APP-000001", recon=None)
    before = site.state()
    page = operator.post("/reconciliation/preview", {"of": "picked", "key": [automated]}).text
    assert "posted automatically" in page
    form = {"of": "picked", "key": [automated], "digest": "", "why": "because"}
    assert operator.post("/reconciliation/request", form).status_code == 409
    assert site.state() == before


def test_a_selection_that_changed_since_its_preview_is_shown_again_and_not_requested(
    site: Site, operator: Browser
) -> None:
    key = site.payment("waiting", match="matched")
    form = FILTERED | {"lender": "UGRO"}
    digest = digest_of(operator.post("/reconciliation/preview", form).text)
    changes = (
        lambda: site.payment("waiting", amount="7.00", match="matched"),
        lambda: site.connection.execute(
            'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET amount = 101 WHERE source_key = %s', (key,)
        ),
        lambda: site.hold(key),
    )
    for change in changes:
        change()
        before = site.state()
        sent = operator.post(
            "/reconciliation/request", form | {"digest": digest, "why": "month end"}
        )
        assert sent.status_code == 409
        assert "Nothing was requested" in sent.text
        assert site.state() == before
        digest = digest_of(sent.text)
    sent = operator.post("/reconciliation/request", form | {"digest": digest, "why": "month end"})
    assert sent.headers["location"] == "/requests/1"


def test_a_second_click_and_a_second_tab_make_no_second_request(
    site: Site, operator: Browser
) -> None:
    site.payment("waiting", match="matched")
    form = FILTERED | {"lender": "UGRO"}
    page = operator.post("/reconciliation/preview", form).text
    sent = form | {"digest": digest_of(page), "why": "month end"}
    first = operator.post("/reconciliation/request", sent)
    assert first.headers["location"] == "/requests/1"
    before = site.state()
    again = operator.post("/reconciliation/request", sent)
    assert again.status_code == 409
    assert "in request 1 already" in again.text.lower()
    assert site.state() == before


def test_without_a_reason_nothing_is_requested(site: Site, operator: Browser) -> None:
    site.payment("waiting", match="matched")
    form = FILTERED | {"lender": "UGRO"}
    digest = digest_of(operator.post("/reconciliation/preview", form).text)
    before = site.state()
    sent = operator.post("/reconciliation/request", form | {"digest": digest, "why": " "})
    assert sent.status_code == 422
    assert site.state() == before


def test_another_person_decides_once_and_nobody_on_a_request_of_ones_own(site: Site) -> None:
    site.settings.recon_four_eyes = True
    approver, admin = site.as_role(Role.APPROVER), site.as_role(Role.ADMIN)
    for n in (1, 2):
        site.payment("waiting", amount=f"{n}.00", match="matched")
        ask(approver, FILTERED | {"lender": "UGRO"})
    before = site.state()
    assert "It is your own" in approver.get("/requests/1").text
    for act in ("approve", "refuse"):
        approver.post(f"/requests/1/{act}", {"why": "my own"})
        admin.post(f"/requests/1/{act}", {"why": ""})
    assert site.state() == before
    for _ in range(2):
        admin.post("/requests/1/approve", {"why": "checked"})
        admin.post("/requests/2/refuse", {"why": "too early"})
    admin.post("/requests/1/refuse", {"why": "too late"})
    states = site.connection.execute(
        'SELECT id, state, decided_by FROM "CORE"."CORE_RECON_REQUEST" ORDER BY id'
    ).fetchall()
    assert states == [(1, "approved", "admin"), (2, "refused", "admin")]
    assert site.audited()[2:] == [
        ("admin", "recon.approve", "request 1"),
        ("admin", "recon.refuse", "request 2"),
    ]
    assert admin.post("/requests/99/approve", {"why": "checked"}).status_code == 404


def test_a_failed_request_is_started_again_and_no_other(site: Site, operator: Browser) -> None:
    site.payment("waiting", match="matched")
    ask(operator, FILTERED | {"lender": "UGRO"})
    before = site.state()
    operator.post("/requests/1/again")
    assert site.state() == before, "it waits for its first run"
    site.connection.execute("""UPDATE "CORE"."CORE_RECON_REQUEST" SET state = 'failed'""")
    assert "Start again" in operator.get("/requests/1").text
    for _ in range(2):
        operator.post("/requests/1/again")
    assert site.one('SELECT state, attempt FROM "CORE"."CORE_RECON_REQUEST"') == ("approved", 2)
    assert site.audited()[1:] == [("operator", "recon.start_again", "request 1")]
