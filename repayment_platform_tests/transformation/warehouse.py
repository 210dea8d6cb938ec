"""What the tests of the models do with a warehouse: land rows, assign keys, run dbt, look."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import dict_row
from psycopg.types.json import Json

from repayment_platform.warehouse.dbt import run_dbt
from repayment_platform.warehouse.raw_cut import advance_cuts
from repayment_platform.warehouse.urls import DatabaseUrls

Row = dict[str, Any]
START = datetime(2025, 11, 20, 6, 0, tzinfo=UTC)


@dataclass
class Warehouse:
    urls: DatabaseUrls
    connection: Connection[Any]
    landed: int = field(default=0)

    def file_row(
        self,
        table: str,
        loan: str | None = "DMI-APP-1",
        amount: Decimal | str | None = "1000.00",
        on: date | str | None = "2025-11-05",
        outcome: str = "success",
        *,
        ref: str | None = None,
        **columns: Any,
    ) -> int:
        """Land a row of a file; returns its id."""
        values = {
            "file_id": 1,
            "row_number": self.landed + 1,
            "cells": Json({}),
            "loan_ref": loan,
            "amount": amount,
            "payment_date": on,
            "outcome": outcome,
            "payment_ref": ref,
        }
        return self._land(table, values | columns)

    def event(self, table: str, payload: Any, **columns: Any) -> int:
        """Land a webhook's body, parsed or as text; returns its id."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        values = {
            "event_id": f"evt_{self.landed}",
            "body": text.encode(),
            "payload": text,
            "headers": Json({}),
            "signed_by": 1,
        }
        return self._land(table, values | columns)

    def _land(self, table: str, values: Row) -> int:
        self.landed += 1
        values = {"landed_at": START + timedelta(seconds=self.landed)} | values
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier("RAW", table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
        )
        row = self.connection.execute(statement, values).fetchone()
        assert row
        return int(row[0])

    def assign_keys(self) -> int:
        """Advance the cuts and key what is new; returns how many observations got a key."""
        advance_cuts(self.urls)
        row = self.connection.execute('SELECT "CORE".assign_payment_keys()').fetchone()
        assert row
        return int(row[0])

    def dbt(self, *args: str) -> None:
        assert run_dbt(self.urls, [*args, "--quiet"]) == 0

    def build(self) -> list[Row]:
        """Run the model of CORE; returns its rows."""
        self.dbt("run", "--select", "core_transaction_data")
        return self.core()

    def core(self) -> list[Row]:
        return self.rows('SELECT * FROM "CORE"."CORE_TRANSACTION_DATA" ORDER BY source_key')

    def keys(self) -> dict[int, Row]:
        """What each observation got: its proper key, or its provisional one."""
        rows = self.rows(
            'SELECT * FROM "CORE"."CORE_PAYMENT_KEY" ORDER BY raw_id, rule <> \'provisional\''
        )
        return {row["raw_id"]: row for row in rows}

    def rules(self) -> list[str]:
        """The rule by which each observation got its key, in the order of landing."""
        return [row["rule"] for row in self.keys().values()]

    def holds(self) -> list[Row]:
        return self.rows('SELECT * FROM "CORE"."CORE_HOLD" ORDER BY id')

    def base(self, table: str) -> list[Row]:
        """The BASE view of a RAW table, in the order of landing."""
        view = sql.Identifier("BASE", table.replace("RAW_", "BASE_", 1))
        return self.rows(sql.SQL("SELECT * FROM {} ORDER BY raw_id").format(view))

    def rows(self, statement: Any, parameters: Any = None) -> list[Row]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, parameters).fetchall()
