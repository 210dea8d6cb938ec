"""Payments whose repayments are undone in Fineract, and people who post them again."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from repayment_platform.exceptions.gone import NotReposted
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.queue import (
    open_exceptions,
    open_holds,
)
from repayment_platform.exceptions.reposting import Reposted, repost
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.proof import nothing_recorded_twice, nothing_unaccounted
from repayment_platform.sources.keys import repost_id
from repayment_platform_tests.posting.conftest import DAY, Bench


def payment(bench: Bench, loan: str = "LN-1", n: int = 0, **columns: Any) -> str:
    """A payment in CORE with its key, which was made of its first facts."""
    key = bench.payment(loan, n=f"#{n}" if n else "", **columns)
    bench.connection.execute(
        'INSERT INTO "CORE"."CORE_PAYMENT_KEY" (raw_id, raw_table, source_key, rule, occurrence, '
        "source_lender, loan_external_id, amount, payment_date, reports, batch) "
        "SELECT batch, 'RAW', source_key, 'new', %s, source_lender, loan_external_id, amount, "
        'payment_date, true, batch FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s',
        (n, key),
    )
    return key


def again(k: int, loan: str = "LN-1", n: int = 0, lender: str = "ARTHMATE") -> str:
    """The external id of the k-th repost of the payment that `payment` made."""
    return repost_id(lender, loan, DAY, Decimal("100.00"), n, k=k)


def undo(bench: Bench, external_id: str) -> None:
    bench.sandbox.post(f"undo/{external_id}")


def in_fineract(bench: Bench, path: str, **body: Any) -> dict[str, Any]:
    """What somebody does on a loan in Fineract's own screens; returns its answer."""
    settings = bench.settings
    answer = httpx.post(
        f"{settings.base_url}/loans/external-id/{path}",
        auth=(settings.fineract_username, settings.fineract_password.get_secret_value()),
        headers={"Fineract-Platform-TenantId": settings.fineract_tenant},
        json={"dateFormat": "yyyy-MM-dd", "locale": "en", "transactionDate": str(DAY)} | body,
    ).raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def enter(bench: Bench, amount: float = 100.0, loan: str = "LN-1", **body: Any) -> int:
    """Enter a repayment by hand, without an external id; returns its number."""
    path = f"{loan}/transactions?command=repayment"
    return int(in_fineract(bench, path, transactionAmount=amount, **body)["resourceId"])


def adjust(bench: Bench, external_id: str, amount: float, loan: str = "LN-1", **body: Any) -> int:
    """Change a repayment, which undoes it and enters another; returns the number of that."""
    path = f"{loan}/transactions/external-id/{external_id}"
    return int(in_fineract(bench, path, transactionAmount=amount, **body)["resourceId"])


def some_time_passes(bench: Bench) -> None:
    ago = timedelta(minutes=5)
    for table, column in (
        ("CORE_TRANSACTION_DATA_PROCESSED", "processed_at"),
        ("CORE_HOLD", "held_at"),
    ):
        query = f'UPDATE "CORE"."{table}" SET {column} = {column} - %s'
        bench.connection.execute(query, (ago,))


def post_again(
    bench: Bench, key: str, *other_money: int, **settings: Any
) -> Reposted | NotReposted:
    changed = bench.settings.model_copy(update=settings)
    asked = repost(
        changed, bench.connection, [key], "asha", "undone by mistake", other_money=other_money
    )
    return asyncio.run(asked)[key]


def put_back(bench: Bench, key: str) -> Reposted:
    some_time_passes(bench)
    came = post_again(bench, key)
    assert isinstance(came, Reposted), came
    return came


def differences(bench: Bench) -> list[str]:
    return asyncio.run(ledger_agrees(bench.settings, bench.conninfo, LedgerScope())).findings


def ids_in_ledger(bench: Bench) -> dict[str, bool]:
    """External id of each transaction in the ledger, and whether it is live."""
    rows = bench.sandbox.get("ledger")
    return {row["externalId"]: not row["reversed"] for row in rows}


def every_proof_holds(bench: Bench) -> None:
    assert nothing_recorded_twice(bench.conninfo).findings == []
    assert nothing_unaccounted(bench.conninfo).findings == []
    assert differences(bench) == []
    assert open_exceptions(bench.connection) == []
    assert open_holds(bench.connection) == []


@pytest.fixture
def undone(bench: Bench) -> str:
    """A payment that was posted and then undone by hand, which the ledger check has seen."""
    bench.loans("LN-1", "LN-2")
    key = payment(bench)
    bench.post()
    undo(bench, key)
    assert differences(bench) == [f"{key}: was undone in the ledger"]
    return key
