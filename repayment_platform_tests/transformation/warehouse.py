"""What the tests of the models do with a warehouse: land rows, assign keys, run models, look."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import dict_row
from psycopg.types.json import Json

from repayment_platform.warehouse.raw_cut import advance_cuts
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests import dbt_once

Row = dict[str, Any]
START = datetime(2025, 12, 20, 6, 0, tzinfo=UTC)


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
        """Land a row of a file, of its own unless `file_id` says otherwise; returns its id."""
        values = {
            "file_id": self.landed + 1,
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

    def fold(self) -> list[Row]:
        """What CORE makes of the keys, by the model's own query over all of them."""
        self.assign_keys()
        return self.rebuilt()

    def rebuilt(self) -> list[Row]:
        """What the query of CORE's model gives over all keys; changes nothing."""
        return self.rows(
            f"SELECT * FROM ({dbt_once.query_of_core()}) c ORDER BY source_key".encode()
        )

    def build(self, *, full_refresh: bool = False) -> list[Row]:
        """Run the model of CORE; returns its rows."""
        dbt_once.play(self.urls, dbt_once.CORE, full_refresh=full_refresh)
        return self.core()

    def build_all(self, *, full_refresh: bool = False) -> None:
        """Run CORE, the lines of settlements and the records of reconciliation."""
        dbt_once.play(self.urls, full_refresh=full_refresh)

    def incremental_query(self) -> str:
        """The query that the next run of CORE's model would make."""
        return dbt_once.query_of_core(dbt_once.newest_batch(self.urls))

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
