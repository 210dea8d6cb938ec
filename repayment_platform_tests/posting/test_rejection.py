"""A repayment that a checker rejected in Fineract is posted again once a person says so."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from repayment_platform.display import at
from repayment_platform.exceptions.rejection import NotRejected, ToBeSentAgain, rejected
from repayment_platform.fineract.contract import Posted, Repayment
from repayment_platform.ledger.identity import WrongLedger, fineract_client
from repayment_platform.monitoring.fineract_checks import fineract_checks
from repayment_platform.posting.model import Selection, State
from repayment_platform.posting.results import Result, Results, Settled
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import Commands
from repayment_platform_tests.posting.conftest import DAY, Bench


@pytest.fixture
def awaiting(bench: Bench) -> str:
    """A payment whose repayment was put into the maker-checker queue five minutes ago."""
    bench.loans("LN-1")
    key = bench.payment()
    await_approval(bench)
    return key


def await_approval(bench: Bench, selection: Selection | None = None) -> None:
    bench.faults({"kind": "maker_checker"})
    bench.post_stopped(*([selection] if selection else []))
    bench.faults()
    sent = 'UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET intended_at = intended_at - %s'
    bench.connection.execute(sent, (timedelta(minutes=5),))


def approve(bench: Bench, key: str) -> None:
    """What Fineract does once the checker approves."""

    async def post() -> None:
        async with fineract_client(bench.settings) as client:
            repayment = Repayment("LN-1", key, DAY, Decimal("100.00"))
            assert isinstance(await client.post_repayment(repayment, "approved"), Posted)

    asyncio.run(post())


def say_rejected(bench: Bench, key: str, **settings: Any) -> ToBeSentAgain | NotRejected:
    changed = bench.settings.model_copy(update=settings)
    return asyncio.run(rejected(changed, bench.connection, [key], "asha", "wrong button"))[key]


def refused(bench: Bench, key: str) -> str:
    came = say_rejected(bench, key)
    assert isinstance(came, NotRejected)
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_AUDIT_LOG"') == (0,)
    return str(came)


def test_what_was_rejected_is_posted_by_the_next_run_with_the_others_of_its_loan(
    bench: Bench, awaiting: str
) -> None:
    later = bench.payment(day=DAY + timedelta(1))
    bench.post()
    assert bench.states() == {awaiting: "awaiting_approval", later: "waiting"}

    assert say_rejected(bench, awaiting) == ToBeSentAgain(awaits_reconciliation=False)

    why = 'SELECT state, reason FROM "CORE"."CORE_OPEN_WORK" WHERE source_key = %s'
    assert bench.one(why, awaiting) == ("waiting", "rejected in Fineract: wrong button")
    bench.post()
    assert bench.states() == {awaiting: "success", later: "success"}
    assert len(bench.ledger()) == 2
    attempts = 'SELECT outcome, settled_by, error_code FROM "CORE"."CORE_POSTING_ATTEMPT" '
    attempts += "WHERE source_key = %s ORDER BY id"
    assert bench.connection.execute(attempts, (awaiting,)).fetchall() == [
        ("not_applied", "lookup", "rejected"),
        ("success", "reply", None),
    ]
    audited = 'SELECT who, action, subject, detail FROM "CORE"."CORE_AUDIT_LOG"'
    who, action, subject, detail = bench.one(audited)
    assert (who, action, subject) == ("asha", "payment.rejected", awaiting)
    assert detail == {
        "why": "wrong button", "loan": "LN-1", "amount": "100.00", "date": str(DAY),
        "external_id": awaiting,
    }  # fmt: skip


def test_the_doctor_says_that_repayments_await_approval(
    bench: Bench, awaiting: str, database_urls: DatabaseUrls
) -> None:
    del awaiting
    checks = {check.name: check for check in fineract_checks(bench.settings, database_urls)}
    assert not checks["maker-checker"].right
    assert checks["maker-checker"].seen == "1 of our repayments await approval"


def test_what_was_approved_meanwhile_stays_for_the_next_run_to_record(
    bench: Bench, awaiting: str
) -> None:
    approve(bench, awaiting)

    assert refused(bench, awaiting).startswith("Fineract has it, as transaction ")

    bench.post()
    assert bench.states() == {awaiting: "success"}
    assert len(bench.posts()) == 2


def test_what_is_approved_after_it_was_said_to_be_rejected_is_not_posted_twice(
    bench: Bench, awaiting: str
) -> None:
    say_rejected(bench, awaiting)
    approve(bench, awaiting)

    bench.post()

    assert bench.states() == {awaiting: "success"}
    assert bench.ledger() == [(awaiting, "LN-1", "100.00")]


def test_what_was_sent_a_moment_ago_may_still_come(bench: Bench, awaiting: str) -> None:
    sent = 'UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET intended_at = clock_timestamp() - %s'
    least = bench.settings.timeout_seconds + bench.settings.settle_seconds
    bench.connection.execute(sent, (timedelta(seconds=least - 0.5),))
    intended = bench.one('SELECT intended_at FROM "CORE"."CORE_POSTING_ATTEMPT"')[0]
    when = at(intended + timedelta(seconds=least))
    assert refused(bench, awaiting) == f"it may still be under way: ask again from {when}"
    bench.connection.execute(sent, (timedelta(seconds=least),))
    assert isinstance(say_rejected(bench, awaiting), ToBeSentAgain)


@pytest.mark.parametrize("kind", ["gateway", "reset_before_work"])
def test_what_fineract_cannot_be_asked_about_stays_as_it_is(
    bench: Bench, awaiting: str, kind: str
) -> None:
    bench.faults({"kind": kind, "on": "lookup"})
    assert refused(bench, awaiting).startswith("Fineract could not be asked: ")
    assert bench.states() == {awaiting: "awaiting_approval"}


def test_what_does_not_await_approval_cannot_have_been_rejected(bench: Bench) -> None:
    bench.loans("LN-1")
    posted, unknown = bench.payment(), "0" * 32
    bench.post()
    for key in (posted, unknown):
        assert refused(bench, key) == "it does not await approval in Fineract"


def test_another_fineract_is_not_asked(bench: Bench, awaiting: str) -> None:
    with pytest.raises(WrongLedger):
        say_rejected(bench, awaiting, fineract_tenant="another")


def test_a_run_that_looks_it_up_meanwhile_writes_nothing_any_more(
    bench: Bench, awaiting: str
) -> None:
    attempt, run = bench.one('SELECT id, run_id FROM "CORE"."CORE_POSTING_ATTEMPT"')
    found = Result(attempt, Settled.SUCCESS, State.SUCCESS, "found in the ledger", by="lookup")

    async def late() -> list[bool]:
        connecting = psycopg.AsyncConnection.connect(bench.conninfo, autocommit=True)
        async with await connecting as connection:
            return await Results(connection, run).write([found])

    say_rejected(bench, awaiting)

    assert asyncio.run(late()) == [False]
    assert bench.states() == {awaiting: "waiting"}


def test_what_was_given_back_while_it_awaited_approval_is_not_posted_again(
    bench: Bench, awaiting: str
) -> None:
    bench.payment(is_success=False, outcome="late_return")
    bench.post()

    say_rejected(bench, awaiting)
    bench.post()

    assert (bench.states(), bench.ledger()) == ({}, [])
    assert bench.one('SELECT reason_code FROM "CORE"."CORE_HOLD"') == ("late_return",)


def test_a_recon_payment_waits_for_reconciliation_again(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment(lender="UGRO", recon_source="RAZORPAY")
    recon = Selection(("UGRO",), recon_keys=(key,))
    await_approval(bench, recon)

    assert say_rejected(bench, key) == ToBeSentAgain(awaits_reconciliation=True)

    bench.post()
    assert bench.states() == {key: "waiting"}
    bench.post(recon)
    assert bench.states() == {key: "success"}


def test_the_command_says_what_it_did_and_what_may_come_of_it(
    bench: Bench, awaiting: str, run_with_fineract: Commands
) -> None:
    done = run_with_fineract("rejected", awaiting, "0" * 32, "--why", "wrong button")

    assert done.stdout.splitlines() == [
        f"{awaiting}: not in Fineract; to be posted by the next run. While maker-checker is on for "
        "REPAYMENT_LOAN, it will await approval again",
        f"{'0' * 32}: it does not await approval in Fineract",
    ]
    assert done.code == 1
