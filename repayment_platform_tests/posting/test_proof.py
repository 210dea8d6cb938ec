"""The proofs after the fact, each made to fail."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.exceptions import ledger_proof
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.fineract.contract import LedgerTransaction, UnknownLoan
from repayment_platform.ledger.differences import Posting, differences
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting import proof
from repayment_platform.warehouse.advisory import LockNotHad, held
from repayment_platform_tests.posting.conftest import DAY, Bench


def agrees(bench: Bench, **scope: Any) -> proof.Proof:
    return asyncio.run(ledger_agrees(bench.settings, bench.conninfo, LedgerScope(**scope)))


def test_after_an_ordinary_run_every_proof_holds(bench: Bench) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1")
    bench.payment("LN-MISSING")
    bench.payment("LN-2", lender="UGRO", recon_source="NACH")
    bench.post()

    for proven in (
        proof.nothing_recorded_twice(bench.conninfo),
        proof.nothing_unaccounted(bench.conninfo),
        agrees(bench),
    ):
        assert (proven.findings, proven.checked > 0) == ([], True)


def test_a_payment_undone_by_hand_in_fineract_is_named_and_becomes_an_exception(
    bench: Bench,
) -> None:
    bench.loans("LN-1", "LN-2")
    key = bench.payment("LN-1")
    bench.post()
    bench.sandbox.post(f"undo/{key}")
    bench.payment("LN-2")
    bench.post()

    assert agrees(bench).findings == [f"{key}: was undone in the ledger"]
    assert bench.one('SELECT source_key, kind FROM "CORE"."CORE_EXCEPTION"') == (
        key,
        "reversed_in_ledger",
    )


def test_a_lender_or_days_can_be_named_and_bound_what_is_compared(bench: Bench) -> None:
    bench.loans("LN-1", "LN-2")
    bench.payment("LN-1", lender="DMI")
    bench.payment("LN-2", lender="IKF")
    bench.post()

    assert agrees(bench, lender="DMI").checked == 1
    assert agrees(bench, first_day=date(2026, 1, 1)).checked == 0


def posted(external_id: str, amount: str = "10.00") -> Posting:
    then = datetime(2026, 1, 1, tzinfo=UTC)
    return Posting("LN-1", external_id, external_id, Decimal(amount), DAY, False, then)


def ledger(**changed: object) -> LedgerTransaction:
    facts = {
        "resource_id": 1,
        "loan_external_id": "LN-1",
        "external_id": "k",
        "amount": Decimal("10.000000"),
        "date": DAY,
        "reversed": False,
        "is_repayment": True,
    }
    return LedgerTransaction(**{**facts, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("listing", "kinds"),
    [
        ((ledger(),), []),
        ((), ["ledger_missing"]),
        (UnknownLoan("no such loan"), ["ledger_missing"]),
        ((ledger(reversed=True),), []),
        ((ledger(amount=Decimal(11)),), ["ledger_amount"]),
        ((ledger(date=date(2025, 1, 1)),), ["ledger_date"]),
        ((ledger(), ledger(external_id="stray", resource_id=2)), ["ledger_foreign"]),
        ((ledger(), ledger(external_id=None, resource_id=2)), ["ledger_foreign"]),
        ((ledger(), ledger(external_id="other of ours")), []),
        ((ledger(), ledger(external_id="stray", reversed=True)), []),
    ],
)
def test_each_way_to_differ_from_the_ledger_has_its_name(
    listing: tuple[LedgerTransaction, ...] | UnknownLoan, kinds: list[str]
) -> None:
    found = differences([posted("k"), posted("other of ours", "7.00")], listing)
    assert [d.kind for d in found if d.posting.key == "k"] == kinds


def test_a_second_success_of_a_key_is_found_where_its_index_was_dropped(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1")
    bench.post()
    bench.connection.execute('DROP INDEX "CORE".core_posting_attempt_one_key')
    bench.connection.execute(
        'INSERT INTO "CORE"."CORE_POSTING_ATTEMPT" (source_key, source_lender, loan_external_id, '
        "payment_date, amount, idempotency_key, run_id, worker, outcome, settled_at) "
        "SELECT source_key, source_lender, loan_external_id, payment_date, amount, 'again', "
        'run_id, worker, outcome, settled_at FROM "CORE"."CORE_POSTING_ATTEMPT"'
    )

    assert proof.nothing_recorded_twice(bench.conninfo).findings == [
        "the unique index core_posting_attempt_one_key is missing",
        f"{key} succeeded 2 times in the attempts",
    ]


def test_a_payment_that_the_list_of_open_work_lost_is_named(bench: Bench) -> None:
    key = bench.payment("LN-1", lender="UGRO", recon_source="NACH")
    bench.post()
    bench.connection.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')

    (finding,) = proof.nothing_unaccounted(bench.conninfo).findings
    assert key in finding


def test_the_quick_proof_goes_back_some_runs_and_the_nightly_one_to_the_beginning(
    bench: Bench,
) -> None:
    old = bench.payment("LN-1", lender="UGRO", recon_source="NACH")
    bench.batch += proof.RECENT_BATCHES
    new = bench.payment("LN-2", lender="UGRO", recon_source="NACH")
    bench.post()
    bench.connection.execute('DELETE FROM "CORE"."CORE_OPEN_WORK"')

    (finding,) = proof.nothing_new_unaccounted(bench.conninfo).findings
    assert new in finding
    assert old in " ".join(proof.nothing_unaccounted(bench.conninfo).findings)


def test_a_comparison_that_waits_too_long_for_another_is_told_which(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.loans("LN-1")
    bench.payment("LN-1")
    bench.post()
    monkeypatch.setattr(ledger_proof, "LOCK_SECONDS", 0.3)
    with (
        held(bench.conninfo, ledger_proof.LOCK, "comparing", 5),
        pytest.raises(LockNotHad, match=r"was compared: the lock is held by session \d+"),
    ):
        agrees(bench)
    assert agrees(bench).checked == 1
