"""What becomes of a payment that is held as implausible, and when one is judged."""

from datetime import timedelta

from repayment_platform.exceptions.decisions import (
    decide,
)
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.posting.guards import set_guards
from repayment_platform.posting.model import Selection
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.selection import Selection as Chosen
from repayment_platform_tests.core_rows import RECORD, insert
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_plausibility import holds, paid_before

# ── a person's word, and corrections ────────────────────────────────────────────────────────


def release(bench: Bench, why: str = "paid up at once") -> None:
    for (hold,) in bench.connection.execute(
        'SELECT id FROM "CORE"."CORE_HOLD" WHERE decision IS NULL'
    ).fetchall():
        decide(bench.connection, hold, Decision.RELEASE, "asha", why)


def test_a_release_posts_it_and_is_good_for_its_facts(bench: Bench) -> None:
    paid_before(bench, "100.00", "100.00", "100.00")
    key = bench.payment("LN-1", "9000.00", reported=DAY + timedelta(200))
    bench.post()
    assert {code for code, _ in holds(bench)} == {"implausible_day", "implausible_amount"}
    set_guards(bench.connection, "ARTHMATE", {"paused": True, "paused_why": "wait"}, "asha")
    release(bench)
    bench.corrected(key, observations=2)
    bench.post()
    assert holds(bench) == []
    bench.corrected(key, payment_date=DAY - timedelta(1))
    bench.post()
    assert {code for code, _ in holds(bench)} == {"implausible_day", "implausible_amount"}
    set_guards(bench.connection, "ARTHMATE", {"paused": False}, "asha")
    release(bench)
    bench.post()
    assert bench.states()[key] == "success"


def test_what_was_corrected_is_posted_without_a_person(bench: Bench) -> None:
    paid_before(bench, "100.00", "100.00", "100.00")
    key = bench.payment("LN-1", "9000.00", reported=DAY + timedelta(200))
    bench.post()
    bench.corrected(key, amount=90, payment_date=DAY + timedelta(199))
    bench.post()
    assert bench.states()[key] == "success"
    closed = 'SELECT DISTINCT decided_by, decided_why FROM "CORE"."CORE_HOLD"'
    assert bench.one(closed) == ("CORE", "it was corrected and is plausible")


def test_what_was_corrected_to_another_implausible_day_stays_held_and_says_so(bench: Bench) -> None:
    key = bench.payment(day=DAY, reported=DAY + timedelta(200))
    bench.post()
    bench.corrected(key, payment_date=DAY - timedelta(5))
    bench.post()
    assert holds(bench) == [
        (
            "implausible_day",
            "paid on 2025-11-15, 205 days before it was reported; usual are at most 90",
        )
    ]


def test_a_correction_that_is_undone_is_asked_about_again(bench: Bench) -> None:
    key = bench.payment("LN-1", reported=DAY + timedelta(200))  # a loan unknown there: not posted
    bench.post()
    bench.corrected(key, payment_date=DAY + timedelta(199))
    bench.post()
    assert holds(bench) == []
    bench.corrected(key, payment_date=DAY)
    bench.post()
    assert [code for code, _ in holds(bench)] == ["implausible_day"]


def test_what_is_no_repayment_any_more_is_no_question_and_is_one_should_it_come_back(
    bench: Bench,
) -> None:
    key = bench.payment(reported=DAY + timedelta(200))
    bench.post()
    bench.corrected(key, is_success=False, outcome="withdrawn")
    bench.post()
    assert holds(bench) == []
    bench.corrected(key, is_success=True, outcome="success")
    bench.post()
    assert [code for code, _ in holds(bench)] == ["implausible_day"]


# ── settings, and lenders posted by reconciliation ──────────────────────────────────────────


def test_what_post_from_defers_is_not_held_until_it_is_ours(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", reported=DAY + timedelta(200))
    set_guards(bench.connection, "ARTHMATE", {"post_from": DAY + timedelta(100)}, "asha")
    bench.post()
    assert (bench.states(), holds(bench)) == ({key: "deferred"}, [])
    set_guards(bench.connection, "ARTHMATE", {"post_from": DAY}, "asha")
    bench.post()
    assert bench.states() == {key: "held"}


def test_what_was_held_for_another_reason_before_post_from_is_judged_when_it_is_released(
    bench: Bench,
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", reported=DAY + timedelta(200))
    guards = {"post_from": DAY + timedelta(100), "max_payment": 50}
    set_guards(bench.connection, "ARTHMATE", guards, "asha")
    bench.post()
    assert [code for code, _ in holds(bench)] == ["over_limit"]
    set_guards(bench.connection, "ARTHMATE", {"post_from": DAY}, "asha")
    release(bench)
    bench.post()
    assert (bench.states(), [code for code, _ in holds(bench)]) == (
        {key: "held"},
        ["implausible_day"],
    )


def test_a_preview_of_reconciliation_leaves_it_out(bench: Bench) -> None:
    facts = {"lender": "UGRO", "recon_source": "NACH"}
    key = bench.payment("UGRO-LN-1", reported=DAY + timedelta(200), **facts)
    insert(
        bench.connection,
        "CORE_RECON_RECORD",
        **RECORD,
        source_key=key,
        source_lender="UGRO",
        recon_source="NACH",
        match_status="matched",
        payment_date=DAY,
        amount=100,
    )
    bench.post(Selection(("DMI",)))  # a run of others
    seen = preview(bench.connection, Chosen(lender="UGRO", first_day=DAY, last_day=DAY))
    assert [each.reason for each in seen.excluded] == ["held: implausible day"]
