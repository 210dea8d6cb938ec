"""Walks through the rules of identity: files and events one after another, and what came of them.

What belongs here: landing them with a run of the models after each, or one at the end, and
counting. What does not: expectations.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from repayment_platform_tests.transformation.conftest import models
from repayment_platform_tests.transformation.warehouse import START, Row, Warehouse

__all__ = ["BANK", "LENDER", "Walk", "day", "models", "walk"]
BANK, LENDER = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"


_COUNTED = """
WITH asked AS (
    SELECT source_key FROM "CORE"."CORE_HOLD" WHERE decision IS NULL
    UNION SELECT source_key FROM "CORE"."CORE_TRANSACTION_DATA" WHERE conflict IS NOT NULL
)
SELECT count(*) FILTER (WHERE is_success AND loan_external_id IS NOT NULL
                        AND asked.source_key IS NULL) AS repayments,
       count(asked.source_key) AS asked
FROM "CORE"."CORE_TRANSACTION_DATA" LEFT JOIN asked USING (source_key)
"""


@dataclass
class Walk:
    """What lands, with a run after each file and event, or one after all."""

    models: Warehouse
    runs_between: bool
    files: int = field(default=0)

    def file(self, table: str, *rows: Row, **options: Any) -> list[int]:
        """Land the rows as one file; returns their ids."""
        self.files += 1
        arrived = {"file_id": self.files, "landed_at": START + timedelta(minutes=self.files)}
        landed = [self.models.file_row(table, **arrived | {"amount": "5000.00"} | row | options)
                  for row in rows]  # fmt: skip
        self._step()
        return landed

    def event(self, table: str, payload: Any) -> int:
        """Land a webhook's body."""
        self.files += 1
        landed = self.models.event(table, payload, landed_at=START + timedelta(minutes=self.files))
        self._step()
        return landed

    def _step(self) -> None:
        if self.runs_between:
            self.models.build()

    def became(self) -> tuple[int, int]:
        """How many repayments would be posted unasked, and how many payments a person is asked
        about."""
        self.models.build()
        [counted] = self.models.rows(_COUNTED)
        return counted["repayments"], counted["asked"]


@pytest.fixture(params=[True, False], ids=["in many runs", "in one run"])
def walk(models: Warehouse, request: pytest.FixtureRequest) -> Walk:
    return Walk(models, request.param)


def day(of_november: int) -> str:
    """A day counted from 1 November 2025, in ISO format."""
    return (date(2025, 10, 31) + timedelta(days=of_november)).isoformat()
