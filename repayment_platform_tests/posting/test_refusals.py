"""What Fineract refused is asked about first, and sent again only where that has changed."""

from datetime import timedelta
from typing import Any

import pytest

from repayment_platform.fineract.client import today_in_india
from repayment_platform.posting.guards import Guards, set_guards
from repayment_platform.posting.model import Selection
from repayment_platform.posting.refusals import NotRefused, send_again
from repayment_platform.posting.report import run_report
from repayment_platform_tests.command import Commands
from repayment_platform_tests.conftest import side_door
from repayment_platform_tests.posting.conftest import DAY, Bench

PENDING, WRITTEN_OFF = 100, 601
PATIENT = {"fineract_timeout_seconds": 20, "fineract_settle_seconds": 30}


def lookups(bench: Bench) -> list[str]:
    """The loans that were asked about, in order."""
    asked = [request for request in bench.requests() if request["operation"] == "lookup"]
    return [request["loan"] for request in asked]


def sent(bench: Bench, key: str) -> int:
    """How often a payment was sent."""
    return sum(request["externalId"] == key for request in bench.posts())


def change(bench: Bench, loan: str, **facts: Any) -> None:
    url = f"{bench.sandbox.root_url}/sandbox/loans/{loan}"
    side_door().patch(url, json=facts).raise_for_status()


def a_day_passes(bench: Bench) -> None:
    bench.connection.execute(
        """UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
           SET processed_at = processed_at - interval '1 day'"""
    )


@pytest.fixture
def of_a_gone_client(bench: Bench) -> str:
    """A payment that was refused for a reason that no look-up shows."""
    bench.loans("LN-1", clientActive=False)
    key = bench.payment()
    bench.post()
    assert bench.one('SELECT error_code FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"') == (
        "error.msg.client.not.active.exception",
    )
    return key


def test_a_thousand_refused_payments_are_not_sent_again_while_their_loans_stay_as_they_are(
    bench: Bench,
) -> None:
    names = [f"LN-{n:03}" for n in range(500)]
    bench.loans(*names, status=PENDING)
    with bench.connection.transaction():
        keys = {bench.payment(name, day=DAY + timedelta(n)) for name in names for n in (0, 1)}

    for _ in range(10):
        assert bench.post(**PATIENT).total("failed") == 1000

    assert {request["externalId"] for request in bench.posts()} == keys
    assert len(bench.posts()) == 1000
    assert len(lookups(bench)) == 9 * 500, "one look-up for all payments of a loan"
    change(bench, "LN-007", status=300)
    assert bench.post(**PATIENT).total("posted") == 2
    assert {loan for _, loan, _ in bench.ledger()} == {"LN-007"}
    assert len(bench.posts()) == 1002


@pytest.mark.parametrize(
    ("before", "meanwhile", "after"),
    [
        ({"status": PENDING}, {"status": WRITTEN_OFF}, {"status": 300}),
        (
            {"disbursedOn": str(DAY + timedelta(9))},
            {"disbursedOn": str(DAY + timedelta(1))},
            {"disbursedOn": str(DAY)},
        ),
    ],
)
def test_a_loan_that_changes_is_sent_to_only_when_it_refuses_no_more(
    bench: Bench, before: dict[str, Any], meanwhile: dict[str, Any], after: dict[str, Any]
) -> None:
    bench.loans("LN-1", **before)
    key = bench.payment()
    bench.post()
    change(bench, "LN-1", **meanwhile)
    bench.post()
    assert (bench.states(), sent(bench, key)) == ({key: "failed"}, 1)

    change(bench, "LN-1", **after)
    bench.post()

    assert (bench.states(), sent(bench, key)) == ({key: "success"}, 2)


def test_a_payment_of_a_day_to_come_is_sent_when_the_day_has_come(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.loans("LN-1")
    day = today_in_india() + timedelta(9)
    key = bench.payment(day=day, reported=day)
    for _ in range(2):
        bench.post()
    assert (bench.states(), sent(bench, key)) == ({key: "failed"}, 1)

    monkeypatch.setattr("repayment_platform.posting.refusals.today_in_india", lambda: day)
    bench.post()

    assert sent(bench, key) == 2


def test_what_no_look_up_shows_is_sent_again_once_a_day(
    bench: Bench, of_a_gone_client: str
) -> None:
    for _ in range(2):
        bench.post()
    assert sent(bench, of_a_gone_client) == 1

    a_day_passes(bench)
    for _ in range(2):
        bench.post()

    assert sent(bench, of_a_gone_client) == 2
    change(bench, "LN-1", clientActive=True)
    a_day_passes(bench)
    bench.post()
    assert bench.states() == {of_a_gone_client: "success"}
    assert lookups(bench) == []


def test_what_no_look_up_shows_is_sent_again_when_a_person_says_so(
    bench: Bench, of_a_gone_client: str
) -> None:
    change(bench, "LN-1", clientActive=True)
    asked = [of_a_gone_client, "0" * 32]

    came = send_again(bench.connection, asked, "asha", "the client is active again")
    bench.post()

    assert came[of_a_gone_client] == "to be sent again by the next run"
    assert isinstance(came["0" * 32], NotRefused)
    assert bench.states() == {of_a_gone_client: "success"}
    assert bench.one('SELECT who, action, subject, detail FROM "CORE"."CORE_AUDIT_LOG"') == (
        "asha", "payment.send_again", of_a_gone_client, {"why": "the client is active again"},
    )  # fmt: skip
    again = send_again(bench.connection, [of_a_gone_client], "asha", "once more")
    assert isinstance(again[of_a_gone_client], NotRefused)


def test_a_person_who_has_it_reconciled_again_says_so(bench: Bench) -> None:
    bench.loans("LN-1", clientActive=False)
    bench.loans("LN-2", status=PENDING)
    keys = tuple(
        bench.payment(loan, lender="UGRO", recon_source="RAZORPAY") for loan in ("LN-1", "LN-2")
    )
    recon = Selection(("UGRO",), recon_keys=keys)

    first, second = bench.post(recon), bench.post(recon)

    assert [sent(bench, key) for key in keys] == [2, 1]
    assert (first.total("failed"), second.total("failed")) == (2, 2)


def test_a_payment_that_is_corrected_is_sent_whatever_was_refused_before(bench: Bench) -> None:
    bench.loans("LN-1", clientActive=False)
    bench.loans("LN-2")
    gone, unknown = bench.payment("LN-1"), bench.payment("LN-0")
    bench.post()
    for key in (gone, unknown):
        bench.corrected(key, loan_external_id="LN-2")

    bench.post()

    assert bench.states() == {gone: "success", unknown: "success"}
    assert lookups(bench) == []


def test_a_loan_with_new_and_refused_payments_is_asked_about_once_in_a_run(bench: Bench) -> None:
    bench.loans("LN-1", disbursedOn=str(DAY))
    early = [bench.payment(day=DAY - timedelta(n)) for n in (1, 2)]
    bench.post()
    late = bench.payment()

    bench.post()

    assert bench.states() == dict.fromkeys(early, "failed") | {late: "success"}
    assert lookups(bench) == ["LN-1"]
    assert len(bench.posts()) == 3


def test_of_several_refused_payments_of_a_loan_those_are_sent_that_it_takes_now(
    bench: Bench,
) -> None:
    bench.loans("LN-1", disbursedOn=str(DAY))
    first, second, third = (bench.payment(day=DAY - timedelta(n)) for n in (3, 2, 1))
    bench.post()
    change(bench, "LN-1", disbursedOn=str(DAY - timedelta(2)))

    bench.post()

    assert bench.states() == {first: "failed", second: "success", third: "success"}
    sent_second = [request["externalId"] for request in bench.posts()][3:]
    assert sent_second == [second, third]


def test_a_pause_of_the_lender_is_no_reason_to_send_again(bench: Bench) -> None:
    key = bench.payment("LN-0")
    bench.post()
    said = bench.one('SELECT reason FROM "CORE"."CORE_OPEN_WORK"')
    for paused in (True, False):
        guards = Guards(paused=paused, paused_why="month end")
        set_guards(bench.connection, "ARTHMATE", guards, "asha")
        bench.post()
        assert bench.states() == {key: "deferred" if paused else "failed"}

    assert bench.one('SELECT reason FROM "CORE"."CORE_OPEN_WORK"') == said
    assert sent(bench, key) == 1


def test_what_cannot_be_asked_about_is_not_sent(bench: Bench) -> None:
    key = bench.payment("LN-0")
    bench.post()
    bench.loans("LN-0")
    bench.faults({"kind": "gateway", "on": "lookup"})

    summary = bench.post()

    assert (bench.states(), sent(bench, key)) == ({key: "failed"}, 1)
    assert "could not be asked" in summary.failures[0].text
    bench.faults({"kind": "unauthorized", "on": "lookup"})
    assert "password" in (bench.post_stopped().stopped or "")
    assert sent(bench, key) == 1


def test_nothing_of_a_loan_overtakes_a_refused_payment_that_cannot_be_asked_about(
    bench: Bench,
) -> None:
    refused = bench.payment("LN-0")
    bench.post()
    bench.loans("LN-0", schedule="recalculated")
    later = bench.payment("LN-0", day=DAY + timedelta(1))
    bench.faults({"kind": "gateway", "on": "lookup"})
    bench.post()
    assert bench.states() == {refused: "failed", later: "waiting"}

    bench.faults()
    bench.post()

    assert bench.states() == {refused: "success", later: "success"}


def test_what_no_look_up_shows_is_tried_before_a_later_payment_of_its_loan(
    bench: Bench, of_a_gone_client: str
) -> None:
    change(bench, "LN-1", clientActive=True, schedule="recalculated")
    later = bench.payment(day=DAY + timedelta(1))

    bench.post()

    assert bench.states() == {of_a_gone_client: "success", later: "success"}


def test_a_run_tells_of_what_stays_refused(bench: Bench) -> None:
    key = bench.payment("LN-0")
    for _ in range(2):
        summary = bench.post()

    (told,) = summary.failures
    assert (told.payment.source_key, told.code) == (key, "error.msg.loan.external.id.invalid")
    assert told.text == "refused before, and what refused it has not changed since"
    (line,) = run_report(bench.conninfo, "run-2")
    assert (line.picked_up, line.failed) == (0, 1)


def test_the_command_has_a_refused_payment_sent_again(
    bench: Bench, of_a_gone_client: str, run_with_fineract: Commands
) -> None:
    done = run_with_fineract("send-again", of_a_gone_client, "nothing", "--why", "active again")

    assert done.stdout.splitlines()[0] == f"{of_a_gone_client}: to be sent again by the next run"
    assert "nothing: it is none that Fineract refused" in done.stdout
    assert done.code == 1
    assert bench.states() == {of_a_gone_client: "waiting"}
