"""Posting again, on the payment's page, what was undone in Fineract; with a real ledger."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import psycopg
import pytest

from repayment_platform.exceptions.kinds import UNDONE
from repayment_platform.fineract.contract import Posted, Repayment
from repayment_platform.ledger.identity import fineract_client
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.sources.keys import repost_id
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations.app import create_app
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.web.operations.site import DAY, Site

LOAN = "UGRO-LN-000001"


@pytest.fixture
def site(built_urls: DatabaseUrls, sandbox: Sandbox, tmp_path: Path) -> Iterator[Site]:
    """The screens of a platform whose Fineract is a sandbox with one loan."""
    settings = Settings(
        _env_file=None,
        database_url=built_urls.psycopg,
        repayment_home=tmp_path / "home",
        fineract_base_url=SANDBOX,
        sandbox_port=sandbox.port,
    )
    loans = [{"externalId": LOAN}]
    sandbox.post("loans", loans)
    with psycopg.connect(built_urls.psycopg, autocommit=True) as connection:
        app = create_app(settings, built_urls.psycopg)
        yield Site(app, settings, built_urls.psycopg, connection)


def undone(site: Site, sandbox: Sandbox, state: str) -> str:
    """A payment that was posted and undone in Fineract."""
    key = posted(site, state)
    sandbox.post(f"undo/{key}")
    return key


def posted(site: Site, state: str) -> str:
    """A payment whose repayment stands in Fineract."""
    key = site.payment(state, loan=LOAN)
    site.insert(
        "CORE_PAYMENT_KEY",
        raw_id=site.batch,
        raw_table="RAW_UGRO_RAZORPAY_API",
        source_key=key,
        rule="new",
        occurrence=0,
        source_lender="UGRO",
        loan_external_id=LOAN,
        amount=Decimal("100.00"),
        payment_date=DAY,
        reports=True,
        batch=1,
    )

    async def post() -> None:
        async with fineract_client(site.settings) as client:
            repayment = Repayment(LOAN, key, DAY, Decimal("100.00"))
            assert isinstance(await client.post_repayment(repayment, key), Posted)

    asyncio.run(post())
    site.connection.execute(
        """UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
           SET processed_at = now() - interval '1 hour'"""
    )
    return key


def test_an_approver_has_an_undone_payment_posted_again(site: Site, sandbox: Sandbox) -> None:
    key = undone(site, sandbox, "success")
    page, path = f"/payments/{key}", f"/payments/{key}/repost"
    assert "Post again" not in site.as_role(Role.APPROVER).get(page).text
    site.exception(key, "ledger_missing")
    assert "Post again" not in site.as_role(Role.OPERATOR).get(page).text
    approver = site.as_role(Role.APPROVER)
    assert "Post again" in approver.get(page).text
    before = site.state()
    approver.post(path, {"why": ""})
    assert site.state() == before

    approver.post(path, {"why": "undone by mistake"})

    expected = repost_id("UGRO", LOAN, DAY, Decimal("100.00"), 0, k=1)
    assert f"once it is reconciled again, under the external id {expected}" in approver.told()
    assert site.audited() == [("approver", "payment.repost", key)]
    assert site.one('SELECT state FROM "CORE"."CORE_OPEN_WORK"') == "waiting"
    shown = approver.get(page).text
    assert expected in shown
    assert "Post again" not in shown
    assert key[:8] in approver.get("/payments", q=expected).text
    approver.post(path, {"why": "once more"})
    assert "neither recorded as posted nor as undone" in approver.told()


def change(site: Site, key: str, amount: float) -> int:
    """Change its repayment in Fineract, which undoes it and enters another; its number."""
    settings = site.settings
    answer = httpx.post(
        f"{settings.base_url}/loans/external-id/{LOAN}/transactions/external-id/{key}",
        auth=(settings.fineract_username, settings.fineract_password.get_secret_value()),
        headers={"Fineract-Platform-TenantId": settings.fineract_tenant},
        json={"dateFormat": "yyyy-MM-dd", "locale": "en", "transactionDate": str(DAY),
              "transactionAmount": amount},
    ).raise_for_status()  # fmt: skip
    return int(answer.json()["resourceId"])


def test_what_was_changed_in_fineract_is_posted_again_after_it_is_other_money(
    site: Site, sandbox: Sandbox
) -> None:
    key = posted(site, "undone")
    number = change(site, key, 4249.5)
    site.exception(key, UNDONE)
    page, path = f"/payments/{key}", f"/payments/{key}/repost"
    approver = site.as_role(Role.APPROVER)
    assert "repayment 7 had 5 rupees refunded" in approver.get(page).text
    assert "It is other money" not in approver.get(page).text
    before = site.state()

    answer = approver.post(path, {"why": "undone by mistake"})

    assert answer.headers["location"].endswith(f"{page}?standing={number}")
    assert site.state() == before
    shown = approver.get(page, standing=str(number)).text
    assert f"changed in Fineract to 4,249.50 (transaction {number})" in shown
    assert f"It is other money than transaction {number} in Fineract" in shown
    for unsaid in ({}, {"other_money": f"{number}0"}, {"other_money": "none"}):
        approver.post(path, {"why": "undone by mistake"} | unsaid)
        assert site.state() == before
    approver.post(path, {"why": "paid in cash as well", "other_money": f"{number}"})

    assert "Done: undone in Fineract" in approver.told()
    assert site.audited() == [("approver", "payment.repost", key)]
    assert "4,249.50 (transaction" in approver.get(page).text


def test_a_hold_of_an_undone_payment_is_released_by_posting_it_again(
    site: Site, sandbox: Sandbox
) -> None:
    key = undone(site, sandbox, "undone")
    hold = site.hold(key, UNDONE)
    approver = site.as_role(Role.APPROVER)
    assert 'value="release"' not in approver.get("/exceptions").text
    seen = site.one('SELECT md5(facts::text) FROM "CORE"."CORE_HOLD"')
    form = {"decision": "release", "why": "post it", "seen": seen}
    approver.post(f"/exceptions/{hold}", form)
    assert "post it again on the payment" in approver.told()
    assert "Post again" in approver.get(f"/payments/{key}").text

    approver.post(f"/payments/{key}/repost", {"why": "undone by mistake"})

    assert "Done" in approver.told()
    row = site.one('SELECT decision, decided_by FROM "CORE"."CORE_HOLD"')
    assert row == ("repost", "approver")


def test_what_fineract_cannot_be_asked_about_stays_as_it_is(site: Site, sandbox: Sandbox) -> None:
    key = undone(site, sandbox, "success")
    plan = {"seed": 1, "rules": [{"kind": "gateway", "on": "lookup"}]}
    sandbox.post("faults", plan)
    approver = site.as_role(Role.APPROVER)
    before = site.state()

    approver.post(f"/payments/{key}/repost", {"why": "undone by mistake"})

    assert "Nothing was changed: Fineract could not be asked" in approver.told()
    assert site.state() == before
