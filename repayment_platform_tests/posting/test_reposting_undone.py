"""A repayment undone in Fineract is posted again on purpose, once, under another external id."""

from datetime import timedelta
from decimal import Decimal

from repayment_platform.display import at
from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform.exceptions.reposting import Reposted
from repayment_platform.posting.model import Selection
from repayment_platform_tests.command import Commands
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.undone import (
    again,
    differences,
    every_proof_holds,
    ids_in_ledger,
    payment,
    put_back,
    some_time_passes,
    undo,
    undone,
)

__all__ = ["undone"]


def test_what_was_undone_is_posted_again_once_under_another_external_id(
    bench: Bench, undone: str
) -> None:
    first = bench.one('SELECT resource_id FROM "CORE"."CORE_POSTING_ATTEMPT"')[0]

    assert put_back(bench, undone) == Reposted(again(1), True, False)
    for _ in range(2):
        bench.post()

    assert ids_in_ledger(bench) == {undone: False, again(1): True}
    assert bench.states() == {undone: "success"}
    every_proof_holds(bench)
    attempts = (
        "SELECT external_id, outcome, undone_at IS NOT NULL "
        'FROM "CORE"."CORE_POSTING_ATTEMPT" ORDER BY id'
    )
    assert bench.connection.execute(attempts).fetchall() == [
        (None, "success", True),
        (again(1), "success", False),
    ]
    who, action, subject, detail = bench.one(
        'SELECT who, action, subject, detail FROM "CORE"."CORE_AUDIT_LOG"'
    )
    assert (who, action, subject) == ("asha", "payment.repost", undone)
    assert detail == {
        "why": "undone by mistake", "found": "undone_in_ledger", "external_id": again(1),
        "former_external_id": undone, "former_transaction": first,
        "loan": "LN-1", "amount": "100.00", "date": str(DAY),
    }  # fmt: skip


def test_what_was_undone_twice_has_a_third_external_id(bench: Bench, undone: str) -> None:
    put_back(bench, undone)
    bench.post()
    undo(bench, again(1))
    assert differences(bench) == [f"{undone}: was undone in the ledger"]

    assert put_back(bench, undone).external_id == again(2)
    bench.post()

    assert ids_in_ledger(bench) == {undone: False, again(1): False, again(2): True}
    every_proof_holds(bench)


def test_two_payments_of_equal_facts_have_external_ids_of_their_own(bench: Bench) -> None:
    bench.loans("LN-1")
    keys = [payment(bench), payment(bench, n=1)]
    bench.post()
    for key in keys:
        undo(bench, key)
    for key in keys:
        put_back(bench, key)
    bench.post()

    assert {key for key, _, _ in bench.ledger()} == {again(1), again(1, n=1)}
    every_proof_holds(bench)


def test_a_repost_that_our_restored_database_has_forgotten_is_found_and_not_repeated(
    bench: Bench, undone: str
) -> None:
    put_back(bench, undone)
    bench.post()
    undo(bench, again(1))
    put_back(bench, undone)
    bench.post()
    for statement in (
        'DELETE FROM "CORE"."CORE_POSTING_ATTEMPT" WHERE external_id IS NOT NULL',
        'UPDATE "CORE"."CORE_POSTING_ATTEMPT" SET undone_at = NULL',
        'UPDATE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" SET external_id = NULL',
    ):
        bench.connection.execute(statement)
    (told,) = differences(bench)
    assert "was changed in the ledger to 100.00" in told

    assert put_back(bench, undone).external_id == again(2)
    bench.post()

    assert ids_in_ledger(bench) == {undone: False, again(1): False, again(2): True}
    every_proof_holds(bench)


def test_a_recon_payment_that_is_posted_again_waits_for_reconciliation(bench: Bench) -> None:
    bench.loans("LN-1")
    key = payment(bench, lender="UGRO", recon_source="RAZORPAY")
    recon = Selection(("UGRO",), recon_keys=(key,))
    bench.post(recon)
    undo(bench, key)

    assert put_back(bench, key).awaits_reconciliation
    bench.post()
    assert bench.states() == {key: "waiting"}
    assert bench.ledger() == []
    bench.post(recon)

    assert bench.ledger() == [(again(1, lender="UGRO"), "LN-1", "100.00")]
    every_proof_holds(bench)


def test_an_imported_payment_without_attempts_is_posted_again(bench: Bench, undone: str) -> None:
    bench.connection.execute('DELETE FROM "CORE"."CORE_POSTING_ATTEMPT"')
    bench.payment(source_key=undone, loan_external_id="LN-2")

    assert put_back(bench, undone).external_id == again(1)
    bench.post()

    assert ids_in_ledger(bench) == {undone: False, again(1): True}
    assert bench.ledger() == [(again(1), "LN-2", "100.00")]
    every_proof_holds(bench)


def test_a_payment_that_changed_and_was_undone_is_posted_again_as_it_is_now(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    key = payment(bench)
    bench.post()
    bench.payment(source_key=key, loan_external_id="LN-2", amount=Decimal("60.00"))
    bench.post()
    undo(bench, key)
    assert differences(bench) == [f"{key}: was undone in the ledger"]
    assert open_exceptions(bench.connection) == []  # what asked to undo it

    put_back(bench, key)
    bench.post()

    assert bench.ledger() == [(again(1), "LN-2", "60.00")]
    every_proof_holds(bench)


def test_what_an_exception_asked_of_the_former_repayment_is_not_asked_of_the_next(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = payment(bench)
    bench.post()
    bench.payment(is_success=False, outcome="withdrawn")
    bench.post()
    undo(bench, key)
    assert differences(bench) == []
    bench.payment(is_success=True)
    put_back(bench, key)
    bench.post()

    undo(bench, again(1))

    assert differences(bench) == [f"{key}: was undone in the ledger"]


def test_an_exception_of_a_reposted_payment_closes_when_the_repost_is_undone(bench: Bench) -> None:
    bench.loans("LN-1")
    key = payment(bench)
    bench.post()
    undo(bench, key)
    put_back(bench, key)
    bench.post()
    bench.payment(is_success=False, outcome="withdrawn")
    bench.post()
    (found,) = open_exceptions(bench.connection)
    assert found.detail["external_id"] == again(1)
    assert differences(bench) == []
    assert len(open_exceptions(bench.connection)) == 1

    undo(bench, again(1))

    assert differences(bench) == []
    assert open_exceptions(bench.connection) == []


def test_it_is_looked_up_on_the_loan_on_which_it_stood_last(bench: Bench) -> None:
    """It was on another loan, which Fineract, restored from a backup, has forgotten."""
    bench.loans("LN-1", "LN-2")
    key = payment(bench)
    bench.payment(source_key=key, loan_external_id="LN-2")
    bench.post()
    bench.connection.execute(
        'INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (id, source_key, source_lender, '
        "loan_external_id, payment_date, amount, idempotency_key, run_id, worker, outcome, "
        "settled_at, undone_at) OVERRIDING SYSTEM VALUE SELECT 0, source_key, source_lender, "
        "'LN-1', payment_date, amount, 'former', run_id, worker, outcome, settled_at, now() "
        'FROM "CORE"."CORE_POSTING_ATTEMPT"'
    )
    undo(bench, key)

    put_back(bench, key)
    bench.post()

    assert bench.ledger() == [(again(1), "LN-2", "100.00")]
    every_proof_holds(bench)


def test_given_back_undone_and_ours_again_it_is_held_and_its_release_posts_it(bench: Bench) -> None:
    """As of a dispute that is won after all."""
    bench.loans("LN-1")
    key = payment(bench)
    bench.post()
    given_back = {"is_success": False, "outcome": "late_return"}
    bench.payment("LN-1", **given_back)
    bench.post()
    undo(bench, key)
    assert differences(bench) == []
    some_time_passes(bench)

    came = put_back(bench, key)
    assert "when the hold that the next run makes of it is released" in str(came)
    refolds = bench.connection.execute('SELECT source_key, batch FROM "CORE"."CORE_REFOLD"')
    assert refolds.fetchall() == [(key, 0)]
    bench.payment("LN-1", **given_back)  # as dbt folds it again
    bench.post()
    assert bench.ledger() == []
    [hold] = open_holds(bench.connection)
    assert hold.kind == "late_return"
    decide(bench.connection, hold.id, Decision.RELEASE, "asha", "the dispute was won")
    bench.payment("LN-1", is_success=True, outcome="late_return")  # and once more
    bench.post()
    assert bench.ledger() == [(again(1), "LN-1", "100.00")]


def test_the_command_says_what_it_did_and_under_which_external_id(
    bench: Bench, undone: str, run_with_fineract: Commands
) -> None:
    some_time_passes(bench)
    posted = payment(bench, "LN-2")
    bench.post()

    when = 'SELECT processed_at FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" WHERE source_key = %s'
    (posted_at,) = bench.one(when, posted)

    done = run_with_fineract(
        *("repost", undone, posted, "--why", "undone by mistake"),
        FINERACT_SETTLE_SECONDS="120",  # however slow the machine is
    )

    assert done.stdout.splitlines() == [
        f"{undone}: undone in Fineract; to be posted by the next run, under the external id "
        f"{again(1)}",
        f"{posted}: it was posted only just now: ask again from "
        f"{at(posted_at + timedelta(seconds=120))}",
    ]
    assert done.code == 1
