"""Open payments whose lender is posted otherwise now are folded anew, and no others."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from repayment_platform.warehouse import moved
from repayment_platform.warehouse.moved import refold_moved
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.core_rows import insert

OPEN = {"loan_external_id": "LN", "payment_date": "2026-11-20", "amount": 100, "reason": "so"}


@pytest.fixture
def refolded(
    connection: psycopg.Connection[Any], database_urls: DatabaseUrls
) -> Callable[[], list[tuple[str, int, str]]]:
    for key, lender, source, state in (
        ("a1", "IKF", None, "waiting"),
        ("a2", "IKF", None, "held"),
        ("a3", "IKF", None, "unknown"),
        ("b1", "GB", "CASHFREE", "failed"),
        ("b2", "GB", "NACH", "awaiting_approval"),
        ("c1", "UGRO", "RAZORPAY", "waiting"),
        ("d1", "FORMER", "NACH", "waiting"),
    ):
        row = {"source_key": key, "source_lender": lender, "recon_source": source, "state": state}
        insert(connection, "CORE_OPEN_WORK", **OPEN | row)

    def come() -> list[tuple[str, int, str]]:
        refold_moved(database_urls)
        query = 'SELECT source_key, batch, reason FROM "CORE"."CORE_REFOLD" ORDER BY 1'
        return connection.execute(query).fetchall()

    return come


def test_nothing_is_folded_anew_while_no_lender_has_moved(
    refolded: Callable[[], list[tuple[str, int, str]]],
) -> None:
    assert refolded() == []


def test_what_waits_for_the_former_path_is_folded_anew_and_what_is_under_way_is_not(
    refolded: Callable[[], list[tuple[str, int, str]]],
    monkeypatch: pytest.MonkeyPatch,
    connection: psycopg.Connection[Any],
) -> None:
    monkeypatch.setattr(moved, "automated_lenders", lambda: ("ARTHMATE", "DMI", "SHIVALIK", "GB"))
    expected = [
        ("a1", 0, "IKF is posted by reconciliation now"),
        ("a2", 0, "IKF is posted by reconciliation now"),
        ("b1", 0, "GB is posted automatically now"),
    ]
    assert refolded() == expected
    connection.execute('UPDATE "CORE"."CORE_REFOLD" SET batch = 7')
    assert refolded() == expected
