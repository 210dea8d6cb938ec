"""A desk for reconciliation: recon payments in CORE, and what stands in the tables about them."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from repayment_platform.reconciliation import requests
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.selection import Selection
from repayment_platform.sources.keys import source_key
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.core_rows import RECORD, insert, put_payment

DAY = date(2025, 11, 20)


@dataclass
class Desk:
    connection: psycopg.Connection[Any]
    batch: int = 0

    def payment(
        self,
        loan: str = "UGRO-LN-1",
        amount: str = "100.00",
        day: date = DAY,
        *,
        lender: str = "UGRO",
        source: str | None = "RAZORPAY",
        status: str = "matched",
        **columns: Any,
    ) -> str:
        """Put a payment into CORE and its recon record; returns its key."""
        self.batch += 1
        row = {
            "source_key": source_key(lender, loan, day, Decimal(amount)),
            "source_lender": lender,
            "loan_external_id": loan,
            "payment_date": day,
            "amount": Decimal(amount),
            "recon_source": source,
        }
        core = {"is_success": True, "batch": self.batch} | columns
        put_payment(self.connection, **row | core)
        if source:
            insert(self.connection, "CORE_RECON_RECORD", **RECORD | row, match_status=status)
        return str(row["source_key"])

    def change(self, key: str, **columns: Any) -> None:
        changes = ", ".join(f"{name} = %({name})s" for name in columns)
        self.connection.execute(
            f'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET {changes} WHERE source_key = %(key)s',
            columns | {"key": key},
        )

    def posted(self, key: str, status: str = "success") -> None:
        self.connection.execute(
            """INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender,
                   status, loan_external_id, payment_date, amount, run_id)
               SELECT source_key, source_lender, %s, loan_external_id, payment_date, amount,
                   'other' FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s""",
            (status, key),
        )

    def held(self, key: str, decision: str | None = None) -> None:
        self.connection.execute(
            """INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts, decision)
               VALUES (%s, 'over_limit', 'too much', '{}', %s)""",
            (key, decision),
        )

    def request(
        self, selection: Selection | None = None, who: str = "asha", *, four_eyes: bool = False
    ) -> int:
        chosen = selection or Selection(lender="UGRO")
        digest = preview(self.connection, chosen).digest
        return requests.create(self.connection, chosen, digest, who, "month end", four_eyes)

    def audited(self) -> list[tuple[str, str]]:
        return self.connection.execute(
            'SELECT who, action FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id'
        ).fetchall()


@pytest.fixture
def database_urls(built_urls: DatabaseUrls) -> DatabaseUrls:
    """What is reconciled stands in tables that dbt has made."""
    return built_urls


@pytest.fixture
def desk(connection: psycopg.Connection[Any]) -> Desk:
    return Desk(connection)
