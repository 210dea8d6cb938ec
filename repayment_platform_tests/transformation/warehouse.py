"""What the tests of the models do with a warehouse: land rows, assign keys, run dbt, look."""

import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dbt.cli.main import dbtRunner, dbtRunnerResult
from psycopg import Connection, sql
from psycopg.rows import dict_row
from psycopg.types.json import Json

from repayment_platform.warehouse.dbt import PROJECT, dbt_session
from repayment_platform.warehouse.raw_cut import advance_cuts
from repayment_platform.warehouse.urls import DatabaseUrls

Row = dict[str, Any]
START = datetime(2025, 11, 20, 6, 0, tzinfo=UTC)
TEMPLATE = "template_with_models"


def run_in_process(urls: DatabaseUrls, *args: str) -> dbtRunnerResult:
    """Run dbt in this process, which takes a tenth of a process of its own.

    The first run makes the template; the others start from what it has parsed.
    """
    first = Path(os.environ["REPAYMENT_TEST_HOME"]) / "dbt"
    target = first if urls.dbname == TEMPLATE else first.with_name(f"dbt-{os.getpid()}")
    if not target.exists():
        target.mkdir()
        if target != first:
            shutil.copy(first / "partial_parse.msgpack", target)
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(target)]
    with dbt_session(urls) as env, patch.dict(os.environ, env):
        return dbtRunner().invoke([*args, "--quiet", *places])


@cache
def full_query() -> bytes:
    """The query of CORE's model as the template was built with it: over every key."""
    home = Path(os.environ["REPAYMENT_TEST_HOME"])
    [file] = home.glob("dbt/compiled/**/core_transaction_data.sql")
    query = file.read_text().replace(f'"{TEMPLATE}".', "")
    return f"SELECT * FROM ({query}) full_refresh ORDER BY source_key".encode()


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

    def fold(self) -> list[Row]:
        """What CORE makes of the keys, by the model's own query over all of them."""
        self.assign_keys()
        return self.rows(full_query())

    def build(self, *args: str) -> list[Row]:
        """Run the model of CORE; returns its rows."""
        assert run_in_process(self.urls, "run", "--select", "core_transaction_data", *args).success
        return self.core()

    def compiled(self, query: str) -> str:
        """A query with macros in it, as SQL."""
        done = run_in_process(self.urls, "compile", "--inline", query)
        return str(done.result.results[0].node.compiled_code)

    def incremental_query(self) -> str:
        """The query that the next run of CORE's model would make."""
        done = run_in_process(self.urls, "compile", "--select", "core_transaction_data")
        return str(done.result.results[0].node.compiled_code)

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
