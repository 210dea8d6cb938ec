"""What a run does with payments and Fineract's answers, on a real ledger."""

import os
import signal
from datetime import date, timedelta
from socket import socket

import pytest

from repayment_platform.ledger.identity import WrongLedger
from repayment_platform.posting.model import PostingStopped, Selection
from repayment_platform.posting.runner import inspect_queue
from repayment_platform_tests.posting.conftest import AUTOMATED, DAY, Bench

PATIENT = {"fineract_timeout_seconds": 20, "fineract_settle_seconds": 30}
"""However busy the machine is, a sandbox that stands answers within this."""


def test_a_due_payment_is_posted_once_and_recorded(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", "1250.50")

    first, second = bench.post(), bench.post()

    assert bench.ledger() == [(key, "LN-1", "1250.50")]
    assert (first.total("posted"), second.total("picked_up")) == (1, 0)
    assert bench.one(
        "SELECT status, fineract_transaction_id IS NOT NULL, run_id "
        'FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"'
    ) == ("success", True, "run-1")
    assert bench.states() == {key: "success"}


def test_many_loans_are_posted_in_parallel_and_each_loan_in_date_order(bench: Bench) -> None:
    names = [f"LN-{n}" for n in range(30)]
    bench.loans(*names)
    for name in names:
        for day in (2, 0, 1):
            bench.payment(name, "10.00", DAY + timedelta(day))

    assert bench.post().total("posted") == 90

    order = bench.connection.execute(
        "SELECT loan_external_id, array_agg(payment_date ORDER BY id) "
        'FROM "CORE"."CORE_POSTING_ATTEMPT" GROUP BY 1'
    ).fetchall()
    assert all(days == sorted(days) and len(days) == 3 for _, days in order)


def test_trouble_that_passes_keeps_the_later_payments_of_its_loan_back(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    first, later = (bench.payment("LN-1", day=DAY + timedelta(n)) for n in (0, 1))
    other = bench.payment("LN-2")
    bench.faults({"kind": "too_many_requests", "external_id": first, "retry_after": 60})

    bench.post()

    assert bench.states() == {first: "waiting", later: "waiting", other: "success"}
    assert [key for key, _, _ in bench.ledger()] == [other]


def test_a_payment_of_an_unknown_loan_fails_with_fineracts_words_and_is_retried(
    bench: Bench,
) -> None:
    key = bench.payment("LN-MISSING")

    summary = bench.post()

    assert summary.total("failed") == 1
    assert summary.failures[0].code == "error.msg.loan.external.id.invalid"
    assert "LN-MISSING" in summary.failures[0].text
    assert bench.states() == {key: "failed"}

    bench.loans("LN-MISSING")
    assert bench.post().total("posted") == 1
    assert bench.states() == {key: "success"}
    assert bench.one('SELECT status, attempts FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"') == (
        "success",
        2,
    )


def test_a_refused_payment_does_not_block_the_later_ones_of_its_loan(bench: Bench) -> None:
    bench.loans("LN-1", disbursedOn=DAY.isoformat())
    early = bench.payment("LN-1", "5.00", DAY - timedelta(9))
    late = bench.payment("LN-1", "6.00", DAY)

    bench.post()

    assert bench.states() == {early: "failed", late: "success"}


def test_recon_rows_are_never_posted_by_an_automated_run(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    recon = bench.payment("LN-1", lender="UGRO", recon_source="RAZORPAY")
    stray = bench.payment("LN-2", lender="ARTHMATE", recon_source="NACH")

    bench.post()
    bench.post(Selection(("ARTHMATE", "UGRO")))

    assert bench.ledger() == []
    assert bench.states() == {recon: "waiting", stray: "waiting"}


def test_a_recon_run_posts_the_keys_it_names_and_no_others(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2", "LN-3")
    named = bench.payment("LN-1", lender="UGRO", recon_source="RAZORPAY")
    bench.payment("LN-2", lender="UGRO", recon_source="RAZORPAY")
    automated = bench.payment("LN-3")

    bench.post(Selection(("UGRO", "ARTHMATE"), recon_keys=(named, automated)))

    assert [key for key, _, _ in bench.ledger()] == [named]


def test_a_dry_run_shows_the_queue_and_changes_nothing(bench: Bench) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1", "75.25")
    tables = "CORE_OPEN_WORK", "CORE_POSTING_ATTEMPT", "CORE_TRANSACTION_DATA_PROCESSED"

    (line,) = inspect_queue(bench.conninfo, AUTOMATED, "dry")

    assert (line.lender, line.state, line.payments, str(line.rupees), line.due) == (
        "ARTHMATE", "waiting", 1, "75.25", True,
    )  # fmt: skip
    assert [bench.one(f'SELECT count(*) FROM "CORE"."{t}"')[0] for t in tables] == [0, 0, 0]
    assert bench.one('SELECT batch FROM "CORE"."CORE_WORK_FEED"') == (0,)
    assert bench.ledger() == []


def test_a_lost_reply_is_settled_by_looking_it_up_not_by_sending_again(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "reset_after_commit", "rate": 1.0})

    summary = bench.post()

    assert bench.ledger() == [(key, "LN-1", "100.00")]
    assert bench.states() == {key: "success"}
    assert [summary.total(name) for name in ("posted", "settled", "unknown")] == [1, 1, 0]
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT"') == (1,)


def test_a_request_that_never_arrived_is_sent_again_only_after_the_settle_time(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "reset_before_work", "rate": 1.0, "times": 1})

    summary = bench.post()

    assert bench.ledger() == [(key, "LN-1", "100.00")]
    assert (summary.total("picked_up"), summary.total("posted")) == (1, 1)
    first, second = bench.connection.execute(
        'SELECT outcome, settled_by, intended_at FROM "CORE"."CORE_POSTING_ATTEMPT" ORDER BY id'
    ).fetchall()
    assert (first[:2], second[:2]) == (("not_applied", "lookup"), ("success", "reply"))
    assert (second[2] - first[2]).total_seconds() >= bench.settings.settle_seconds


def test_doubt_about_one_payment_blocks_the_later_ones_of_its_loan_only(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    bench.payment("LN-1", "1.00", DAY)
    bench.payment("LN-1", "2.00", DAY + timedelta(1))
    bench.payment("LN-2", "3.00", DAY)
    bench.faults({"kind": "reset_before_work", "rate": 1.0, "times": 1, "loan": "LN-1"})

    bench.post()

    order = [
        amount
        for (amount,) in bench.connection.execute(
            'SELECT amount::text FROM "CORE"."CORE_POSTING_ATTEMPT" '
            "WHERE outcome = 'success' ORDER BY settled_at"
        )
    ]
    assert order == ["3.00", "1.00", "2.00"]


def test_a_wrong_password_ends_the_run_at_once_and_marks_nothing_failed(bench: Bench) -> None:
    keys = a_thousand_payments(bench)
    bench.faults({"kind": "unauthorized", "rate": 1.0})

    summary = bench.post_stopped(posting_workers=4)

    assert "password" in (summary.stopped or "")
    assert bench.states() == dict.fromkeys(keys, "waiting")
    assert len(bench.requests()) <= 4
    bench.faults()
    assert bench.post().total("posted") == 1000


def test_fineract_being_down_ends_the_run_and_the_next_one_posts_everything(bench: Bench) -> None:
    keys = a_thousand_payments(bench)
    nobody_listens = 1

    summary = bench.post_stopped(sandbox_port=nobody_listens, fineract_patience_seconds=2)

    assert "has not answered once in 2 s" in (summary.stopped or "")
    assert "no connection to Fineract" in (summary.stopped or "")
    assert summary.total("failed") == 0
    assert bench.states() == dict.fromkeys(keys, "waiting")
    assert bench.post(**PATIENT).total("posted") == 1000
    assert len(bench.ledger()) == 1000


def a_thousand_payments(bench: Bench) -> set[str]:
    names = [f"LN-{n}" for n in range(250)]
    bench.loans(*names)
    with bench.connection.transaction():
        return {bench.payment(name, day=DAY + timedelta(n)) for name in names for n in range(4)}


def test_a_repayment_that_awaits_approval_is_reported_and_never_sent_again(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "maker_checker", "rate": 1.0})

    assert "maker-checker" in (bench.post_stopped().stopped or "")
    bench.faults()
    bench.post()

    assert bench.states() == {key: "awaiting_approval"}
    assert bench.ledger() == []
    assert bench.one('SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT"') == (1,)


def test_a_database_that_has_posted_to_one_ledger_refuses_another(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    bench.payment("LN-1")
    bench.post()
    bench.payment("LN-2")

    with pytest.raises(WrongLedger, match="sandbox"):
        bench.post(fineract_tenant="another")

    assert len(bench.ledger()) == 1


def test_a_run_that_is_told_to_stop_ends_by_itself_and_does_not_blame_fineract(
    bench: Bench,
) -> None:
    keys = a_thousand_payments(bench)
    with pytest.raises(PostingStopped) as stopped:
        bench.post(progress=lambda _summary, _doing: os.kill(os.getpid(), signal.SIGTERM))

    summary = stopped.value.summary
    assert summary.stopped == "stopped on request (SIGTERM)"
    assert summary.was_told_to_stop
    assert summary.has_answered
    assert 0 < summary.total("posted") < len(keys)
    assert len(bench.ledger()) == summary.total("posted")


def test_an_address_where_nobody_answered_binds_the_database_to_nothing(bench: Bench) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1")
    with socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        wrong = f"http://127.0.0.1:{nobody.getsockname()[1]}/fineract-provider/api/v1"
        bench.post_stopped(fineract_base_url=wrong, fineract_patience_seconds=1)

    assert bench.post().total("posted") == 1
    with pytest.raises(WrongLedger, match="sandbox"):
        bench.post(fineract_base_url=wrong)


def test_a_transaction_undone_in_fineract_is_held_not_posted_again(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.faults({"kind": "reset_after_commit"}, {"kind": "operator_undo"})

    bench.post()

    assert bench.states() == {key: "held"}
    assert bench.one('SELECT reason_code FROM "CORE"."CORE_HOLD"') == ("reversed_in_ledger",)


def test_a_payment_withdrawn_before_posting_leaves_the_queue(bench: Bench) -> None:
    bench.payment("LN-1", "100.00", lender="UGRO", recon_source="NACH")
    bench.post()
    bench.payment("LN-1", "100.00", lender="UGRO", recon_source="NACH", is_success=False)

    bench.post()

    assert bench.states() == {}


def test_the_amounts_posted_are_those_of_core_to_the_paisa(bench: Bench) -> None:
    bench.loans("LN-1")
    for n, amount in enumerate(("0.01", "10000.05", "99999999.99")):
        bench.payment("LN-1", amount, date(2025, 11, 1 + n))

    bench.post()

    assert [amount for _, _, amount in sorted(bench.ledger(), key=lambda row: float(row[2]))] == [
        "0.01", "10000.05", "99999999.99",
    ]  # fmt: skip


def test_doubt_about_a_loan_that_fineract_does_not_have_ends_in_its_refusal(bench: Bench) -> None:
    key = bench.payment("LN-MISSING")
    bench.faults({"kind": "reset_before_work", "times": 1})

    bench.post()

    assert bench.states() == {key: "failed"}
