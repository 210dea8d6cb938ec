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
from repayment_platform_tests.posting.core_table import CORE_TRANSACTION_DATA

DAY = date(2025, 11, 20)
RECON_RECORD = """
CREATE TABLE "CORE"."CORE_RECON_RECORD" (
    source_key text PRIMARY KEY, source_lender text NOT NULL, recon_source text NOT NULL,
    loan_external_id text, payment_ref text, payment_date date, amount numeric(19, 2),
    umrn text, utr text, vpa text, customer text, match_status text NOT NULL)
"""


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
        self._insert("CORE_TRANSACTION_DATA", row | core)
        if source:
            self._insert("CORE_RECON_RECORD", row | {"match_status": status})
        return str(row["source_key"])

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        names = ", ".join(row)
        values = ", ".join(f"%({name})s" for name in row)
        self.connection.execute(f'INSERT INTO "CORE"."{table}" ({names}) VALUES ({values})', row)

    def change(self, key: str, **columns: Any) -> None:
        changes = ", ".join(f"{name} = %({name})s" for name in columns)
        self.connection.execute(
            f'UPDATE "CORE"."CORE_TRANSACTION_DATA" SET {changes} WHERE source_key = %(key)s',
            columns | {"key": key},
        )

    def posted(self, key: str) -> None:
        self.connection.execute(
            """INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender,
                   status, loan_external_id, payment_date, amount, run_id)
               SELECT source_key, source_lender, 'success', loan_external_id, payment_date, amount,
                   'other' FROM "CORE"."CORE_TRANSACTION_DATA" WHERE source_key = %s""",
            (key,),
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
def desk(connection: psycopg.Connection[Any]) -> Desk:
    connection.execute(CORE_TRANSACTION_DATA)
    connection.execute(RECON_RECORD)
    return Desk(connection)
