"""Requests: frozen facts, four eyes, each change once."""

import threading

import psycopg
import pytest

from repayment_platform.reconciliation import requests, running
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.requests import (
    NotAllowed,
    NothingToReconcile,
    NotOpen,
    SelectionChanged,
    UnknownRequest,
)
from repayment_platform.reconciliation.selection import Selection
from repayment_platform_tests.reconciliation.conftest import Desk

UGRO = Selection(lender="UGRO")


def test_a_request_freezes_the_payments_of_the_preview_with_their_facts(desk: Desk) -> None:
    keys = {desk.payment(f"UGRO-LN-{n}", f"{n}.50") for n in (1, 2)}
    number = desk.request()
    request = requests.get(desk.connection, number)
    assert (request.state, request.payments, str(request.rupees)) == ("approved", 2, "4.00")
    assert request.run_key == f"recon-{number}-1"
    assert request.counts == {"waiting": 2}
    assert set(running.begin(desk.connection, number, "run").keys) == keys


def test_a_payment_of_a_request_that_is_undone_counts_as_that_and_makes_no_request(
    desk: Desk,
) -> None:
    posted, undone = (desk.payment(f"UGRO-LN-{n}") for n in (1, 2))
    number = desk.request()
    desk.posted(posted)
    desk.posted(undone, "undone")

    assert requests.get(desk.connection, number).counts == {"success": 1, "undone": 1}
    assert running.begin(desk.connection, number, "run").keys == ()


def test_a_selection_that_changed_since_its_preview_makes_no_request(desk: Desk) -> None:
    key = desk.payment()
    digest = preview(desk.connection, UGRO).digest
    desk.change(key, amount="100.01")
    with pytest.raises(SelectionChanged):
        requests.create(desk.connection, UGRO, digest, "asha", "", False)
    assert desk.audited() == []
    with pytest.raises(UnknownRequest):
        requests.get(desk.connection, 1)


def test_a_second_request_for_the_same_payments_is_refused(desk: Desk) -> None:
    desk.payment()
    digest = preview(desk.connection, UGRO).digest
    desk.request()
    with pytest.raises(NothingToReconcile):
        requests.create(desk.connection, UGRO, digest, "asha", "", False)


def test_two_clicks_at_the_same_moment_make_one_request(desk: Desk) -> None:
    for n in range(200):
        desk.payment(f"UGRO-LN-{n}")
    digest = preview(desk.connection, UGRO).digest
    made: list[object] = []
    start = threading.Barrier(4)

    def click() -> None:
        with psycopg.connect(desk.connection.info.dsn, autocommit=True) as own:
            start.wait()
            try:
                made.append(requests.create(own, UGRO, digest, "asha", "", False))
            except (SelectionChanged, NothingToReconcile):
                made.append(None)

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()
    assert len([number for number in made if number]) == 1
    assert len(made) == 4


def test_one_may_not_decide_on_ones_own_request(desk: Desk) -> None:
    desk.payment()
    number = desk.request(four_eyes=True)
    for decide in (requests.approve, requests.refuse):
        with pytest.raises(NotAllowed):
            decide(desk.connection, number, "Asha", "fine")
    assert requests.get(desk.connection, number).state == "awaiting_approval"
    with pytest.raises(NotOpen):
        running.begin(desk.connection, number, "run")


def test_another_person_approves_once(desk: Desk) -> None:
    desk.payment()
    number = desk.request(four_eyes=True)
    requests.approve(desk.connection, number, "bela", "agrees with the bank")
    request = requests.get(desk.connection, number)
    assert (request.state, request.decided_by, request.attempt) == ("approved", "bela", 1)
    for decide in (requests.approve, requests.refuse):
        with pytest.raises(NotOpen, match="approved by bela"):
            decide(desk.connection, number, "chand", "too late")
    assert desk.audited() == [("asha", "recon.request"), ("bela", "recon.approve")]


def test_the_payments_of_a_refused_request_are_free_for_another(desk: Desk) -> None:
    desk.payment()
    number = desk.request(four_eyes=True)
    requests.refuse(desk.connection, number, "bela", "wrong month")
    assert requests.get(desk.connection, number).state == "refused"
    assert desk.request() == number + 1


def test_a_request_is_taken_by_one_run(desk: Desk) -> None:
    desk.payment()
    number = desk.request()
    running.begin(desk.connection, number, "run-1")
    with pytest.raises(NotOpen, match="running by run run-1"):
        running.begin(desk.connection, number, "run-2")


def test_a_run_leaves_out_what_is_not_as_it_was_approved(desk: Desk) -> None:
    kept, moved, refunded, posted, held = (desk.payment(f"UGRO-LN-{n}") for n in range(5))
    gone = desk.payment("UGRO-LN-9", source="RAZORPAY")
    number = desk.request()
    desk.change(moved, amount="7.00")
    desk.change(refunded, is_success=False, not_repayment_reason="refunded")
    desk.posted(posted)
    desk.held(held)
    desk.change(gone, recon_source=None)
    plan = running.begin(desk.connection, number, "run")
    assert plan.keys == (kept,)
    assert {line.reason: line.payments for line in plan.excluded} == {
        "loan, date or amount changed since the request": 1,
        "no repayment: refunded": 1,
        "posted already": 1,
        "held: over limit": 1,
        "of a lender that is posted automatically": 1,
    }


def test_a_late_run_cannot_end_a_request_that_was_started_again(desk: Desk) -> None:
    desk.payment()
    number = desk.request()
    running.begin(desk.connection, number, "run-1")
    (gone,) = running.started(desk.connection)
    assert running.abandon(desk.connection, gone, "the run was killed")
    requests.start_again(desk.connection, number, "asha")
    assert requests.get(desk.connection, number).run_key == f"recon-{number}-2"
    running.begin(desk.connection, number, "run-2")
    assert not running.end(desk.connection, number, "run-1", {}, failed=False)
    assert not running.abandon(desk.connection, gone, "the run was killed")
    assert requests.get(desk.connection, number).state == "running"
    assert running.end(desk.connection, number, "run-2", {"posted": 1}, failed=False)
    assert requests.get(desk.connection, number).result == {"posted": 1}


def test_what_nobody_approved_is_not_run_once_four_eyes_are_on(desk: Desk) -> None:
    desk.payment()
    number = desk.request()
    with pytest.raises(NotOpen, match="nobody but asha approved"):
        running.begin(desk.connection, number, "run-1", four_eyes=True)
    (waiting,) = running.started(desk.connection)
    running.abandon(desk.connection, waiting, "its run failed")
    requests.start_again(desk.connection, number, "asha", four_eyes=True)
    assert requests.get(desk.connection, number).state == "awaiting_approval"
    with pytest.raises(NotOpen, match="awaiting approval"):
        requests.start_again(desk.connection, number, "asha", four_eyes=True)
    requests.approve(desk.connection, number, "bela", "checked")
    request = requests.get(desk.connection, number)
    assert (request.state, request.run_key) == ("approved", f"recon-{number}-2")
    assert running.begin(desk.connection, number, "run-2", four_eyes=True).keys


def test_what_another_person_approved_is_started_again_without_asking_twice(desk: Desk) -> None:
    desk.payment()
    number = desk.request(four_eyes=True)
    requests.approve(desk.connection, number, "bela", "checked")
    (waiting,) = running.started(desk.connection)
    running.abandon(desk.connection, waiting, "its run never began")
    requests.start_again(desk.connection, number, "asha", four_eyes=True)
    request = requests.get(desk.connection, number)
    assert (request.state, request.run_key) == ("approved", f"recon-{number}-2")


def test_a_payment_that_changes_while_the_run_is_under_way_says_so_in_the_end(desk: Desk) -> None:
    changed, posted = desk.payment(), desk.payment("UGRO-LN-2")
    number = desk.request()
    running.begin(desk.connection, number, "run")
    desk.change(changed, amount="99.00")
    desk.posted(posted)
    running.end(desk.connection, number, "run", {}, failed=False)
    (left_out,) = requests.get(desk.connection, number).excluded
    assert (left_out.reason, left_out.payments) == (
        "loan, date or amount changed since the request",
        1,
    )


def test_only_a_failed_request_is_started_again(desk: Desk) -> None:
    desk.payment()
    number = desk.request()
    with pytest.raises(NotOpen):
        requests.start_again(desk.connection, number, "asha")


def test_a_request_is_not_started_again_when_another_has_its_payments(desk: Desk) -> None:
    desk.payment()
    number = desk.request()
    (waiting,) = running.started(desk.connection)
    running.abandon(desk.connection, waiting, "its run never began")
    desk.request()
    with pytest.raises(NotOpen, match="another open request"):
        requests.start_again(desk.connection, number, "asha")
    assert requests.get(desk.connection, number).state == "failed"
