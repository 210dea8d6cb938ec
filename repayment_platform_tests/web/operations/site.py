"""What tests of the screens do with them: put rows into the tables, log in, open and send."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import psycopg
from fastapi import FastAPI
from psycopg import sql
from starlette.testclient import TestClient

from repayment_platform.settings import Settings
from repayment_platform.web.operations import sessions
from repayment_platform.web.operations.auth import COOKIE
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.core_rows import RECORD, insert, put_payment

CSRF_COOKIE = "starlette_admin_csrftoken"
HERE = "http://127.0.0.1:8082"
DAY = date(2026, 11, 20)
STATE = (
    "CORE_AUDIT_LOG", "CORE_EXCEPTION", "CORE_FILE_LOG", "CORE_HOLD", "CORE_LENDER_SETTING",
    "CORE_LOAN_MAPPING", "CORE_OPEN_WORK", "CORE_QUARANTINE", "CORE_RECON_REQUEST",
    "CORE_RECON_REQUEST_ITEM", "CORE_REFOLD", "CORE_TRANSACTION_DATA_PROCESSED", "CORE_USER",
)  # fmt: skip


@dataclass
class Browser:
    """One user's browser: keeps cookies, sends the token of a form."""

    client: TestClient

    def get(self, path: str, **query: str) -> httpx.Response:
        return self.client.get(path, params=query)

    def post(self, path: str, form: dict[str, Any] | None = None, **more: Any) -> httpx.Response:
        """Send a form as the page would; follows no redirect, so that it can be looked at."""
        if CSRF_COOKIE not in self.client.cookies:
            self.client.get("/login")
        data = {"csrftoken": self.client.cookies[CSRF_COOKIE]} | (form or {})
        return self.client.post(path, data=data, **more)

    def told(self) -> str:
        """The message that the next page shows."""
        page = self.client.get("/audit").text
        return " ".join(re.findall(r'alert-description">([^<]*)<', page))


@dataclass
class Site:
    app: FastAPI
    settings: Settings
    conninfo: str
    connection: psycopg.Connection[Any]
    batch: int = field(default=0)

    def browser(
        self, user: str | None = None, role: Role = Role.VIEWER, address: str = "testclient"
    ) -> Browser:
        """A browser, logged in as a user who is made for it unless there is one."""
        client = TestClient(self.app, HERE, follow_redirects=False, client=(address, 50_000))
        if user:
            self.connection.execute(
                """INSERT INTO "CORE"."CORE_USER" (name, password_hash, role)
                   VALUES (%s, 'none', %s) ON CONFLICT DO NOTHING""",
                (user, role.label),
            )
            client.cookies.set(COOKIE, sessions.start(self.connection, user))
        return Browser(client)

    def as_role(self, role: Role) -> Browser:
        return self.browser(role.label, role)

    def insert(self, table: str, **row: Any) -> None:
        insert(self.connection, table, **row)

    def payment(
        self,
        state: str = "",
        lender: str = "UGRO",
        loan: str | None = "UGRO-LN-000001",
        amount: str = "100.00",
        day: date | None = DAY,
        *,
        reason: str = "awaits reconciliation",
        recon: str | None = "RAZORPAY",
        match: str = "",
        ref: str | None = None,
        **columns: Any,
    ) -> str:
        """Put a payment into CORE, and into open work or the processed by its state."""
        self.batch += 1
        key = hashlib.md5(f"{self.batch}".encode()).hexdigest()
        facts = {
            "source_key": key,
            "source_lender": lender,
            "loan_external_id": loan,
            "payment_date": day,
            "amount": Decimal(amount),
            "payment_ref": ref,
            "recon_source": recon,
        }
        own = {"first_raw_id": self.batch, "last_raw_id": self.batch, "batch": self.batch}
        put_payment(self.connection, **facts, **own | columns)
        if state == "success":
            self.insert(
                "CORE_TRANSACTION_DATA_PROCESSED",
                **facts,
                status="success",
                run_id="run",
                fineract_transaction_id=self.batch,
            )
        elif state == "undone":
            self.insert(
                "CORE_TRANSACTION_DATA_PROCESSED",
                **facts,
                status="undone",
                run_id="run",
                fineract_transaction_id=self.batch,
                error_code="reversed_in_ledger",
                error_text="was undone in the ledger",
            )
            if columns.get("is_success", True):
                self.insert("CORE_OPEN_WORK", **facts, state="held", reason="to be decided")
        elif state:
            self.insert("CORE_OPEN_WORK", **facts, state=state, reason=reason)
        if match:
            self.insert(
                "CORE_RECON_RECORD",
                **facts,
                **RECORD | {"match_status": match, "match_reason": match, "batch": self.batch},
            )
        return key

    def hold(self, key: str, code: str = "possible_duplicate") -> int:
        row = self.connection.execute(
            """INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
               VALUES (%s, %s, 'equal to another', '{}') RETURNING id""",
            (key, code),
        ).fetchone()
        assert row
        return int(row[0])

    def exception(self, key: str, kind: str = "refunded_after_posting") -> int:
        row = self.connection.execute(
            """INSERT INTO "CORE"."CORE_EXCEPTION" (source_key, kind, detail)
               VALUES (%s, %s, '{"what": "repayment 7 had 5 rupees refunded"}') RETURNING id""",
            (key, kind),
        ).fetchone()
        assert row
        return int(row[0])

    def one(self, query: str, *values: Any) -> Any:
        row = self.connection.execute(query, values).fetchone()
        return row[0] if row and len(row) == 1 else row

    def audited(self) -> list[tuple[str, str, str]]:
        return self.connection.execute(
            'SELECT who, action, subject FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id'
        ).fetchall()

    def state(self) -> dict[str, str]:
        """A fingerprint of each table that an act could change."""
        found = {}
        for table in STATE:
            query = sql.SQL("SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))")
            query += sql.SQL(" FROM {} t").format(sql.Identifier("CORE", table))
            found[table] = self.one(query)  # type: ignore[arg-type]
        return found
