"""A bench for posting: payments in CORE, loans in a real sandbox, runs of the real engine."""

import hashlib
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from repayment_platform.posting.engine import Progress
from repayment_platform.posting.model import PostingStopped, Selection, Summary
from repayment_platform.posting.runner import run_posting
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.core_rows import put_payment

DAY = date(2025, 11, 20)
AUTOMATED = Selection(("ARTHMATE", "DMI", "IKF", "SHIVALIK"))


@dataclass
class Bench:
    connection: psycopg.Connection[Any]
    settings: Settings
    sandbox: Sandbox
    conninfo: str
    batch: int = 0
    runs: int = field(default=0)

    def loans(self, *names: str, **facts: Any) -> None:
        body = [{"externalId": name, **facts} for name in names]
        self.sandbox.post("loans", body)

    def payment(
        self,
        loan: str = "LN-1",
        amount: str = "100.00",
        day: date = DAY,
        *,
        lender: str = "ARTHMATE",
        n: str = "",
        reported: date | None = None,
        **columns: Any,
    ) -> str:
        """Put a payment into CORE, reported on its day or another; returns its key."""
        key = hashlib.md5(f"{lender}{loan}{day}{amount}{n}".encode()).hexdigest()
        self.batch += 1
        row = {
            "source_key": key,
            "source_lender": lender,
            "loan_external_id": loan,
            "payment_date": day,
            "amount": Decimal(amount),
            "is_success": True,
            "recon_source": None,
            "payment_ref": None,
            "batch": self.batch,
        }
        if reported:
            landed = f"{reported} 10:00+05:30"
            row |= {"first_landed_at": landed, "last_landed_at": landed}
        put_payment(self.connection, **row | columns)
        return key

    def corrected(self, key: str, **columns: Any) -> None:
        """Change a payment in CORE."""
        self.batch += 1
        changes = columns | {"batch": self.batch}
        statement = sql.SQL('UPDATE "CORE"."CORE_TRANSACTION_DATA" SET {} WHERE source_key = {}')
        pairs = [sql.SQL("{} = {}").format(sql.Identifier(k), v) for k, v in changes.items()]
        self.connection.execute(statement.format(sql.SQL(", ").join(pairs), key))

    def absent(self, key: str) -> None:
        """Have Fineract's answer that it does not have the payment, as a run keeps it."""
        self.connection.execute(
            """INSERT INTO "CORE"."CORE_LEDGER_ANSWER"
                   (source_key, external_id, answer, words, incarnation)
               VALUES (%(key)s, %(key)s, 'absent', 'not in the ledger', "CORE".incarnation())""",
            {"key": key},
        )

    def post(
        self,
        selection: Selection = AUTOMATED,
        progress: Progress = lambda _summary, _doing: None,
        **settings: Any,
    ) -> Summary:
        self.runs += 1
        changed = self.settings.model_copy(update=settings)
        run_id = f"run-{self.runs}"
        return run_posting(changed, self.conninfo, selection, run_id, progress=progress)

    def post_stopped(self, selection: Selection = AUTOMATED, **settings: Any) -> Summary:
        with pytest.raises(PostingStopped) as stopped:
            self.post(selection, **settings)
        return stopped.value.summary

    def ledger(self) -> list[tuple[str, str, str]]:
        """(external id, loan, amount) of every live transaction."""
        rows = self.sandbox.get("ledger")
        rows = rows["transactions"] if isinstance(rows, dict) else rows
        return sorted(
            (row["externalId"], row["loanExternalId"], row["amount"])
            for row in rows
            if not row["reversed"]
        )

    def requests(self) -> list[dict[str, Any]]:
        """The sandbox's wire log."""
        rows: list[dict[str, Any]] = self.sandbox.get("requests")
        return rows

    def posts(self) -> list[dict[str, Any]]:
        """The repayments of the wire log."""
        return [request for request in self.requests() if request["operation"] == "repayment"]

    def faults(self, *rules: dict[str, Any], seed: int = 1) -> None:
        plan = {"seed": seed, "rules": list(rules)}
        self.sandbox.post("faults", plan)

    def states(self) -> dict[str, str]:
        """State of every payment by key, the outcome where it is settled."""
        rows = self.connection.execute(
            'SELECT source_key, state FROM "CORE"."CORE_OPEN_WORK" UNION ALL '
            'SELECT source_key, status FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" '
            "WHERE status = 'success'"
        ).fetchall()
        assert len(rows) == len(dict(rows)), "a payment in two states"
        return dict(rows)

    def one(self, query: str, *parameters: Any) -> Any:
        return self.connection.execute(query, parameters).fetchone()


@pytest.fixture
def database_urls(built_urls: DatabaseUrls) -> DatabaseUrls:
    """The engine reads what dbt has made."""
    return built_urls


@pytest.fixture
def bench(
    connection: psycopg.Connection[Any],
    settings: Settings,
    sandbox: Sandbox,
    database_urls: DatabaseUrls,
) -> Bench:
    return Bench(connection, settings, sandbox, database_urls.psycopg)
