"""The whole way of a file in tests: it lands, the models make CORE of it, runs post.

What belongs here: doing these steps and looking at what came of them. What does not: expectations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repayment_platform.landing.files import ingest_file
from repayment_platform.landing.replay import ReplayResult, replay
from repayment_platform.landing.results import FileResult
from repayment_platform.posting.guards import set_guards
from repayment_platform.posting.model import Selection
from repayment_platform.posting.runner import run_posting
from repayment_platform.settings import Settings
from repayment_platform_tests.conftest import Sandbox
from repayment_platform_tests.sources.reading import HEADER, NACH, row, text_of
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

AUTOMATED = Selection(("ARTHMATE", "DMI", "IKF", "SHIVALIK"))


@dataclass
class Platform:
    """Files land, the models make CORE of them, and runs post to a real sandbox."""

    models: Warehouse
    settings: Settings
    sandbox: Sandbox
    folder: Path
    runs: int = field(default=0)

    def land(
        self,
        *rows: list[str],
        source: str = NACH,
        header: Sequence[str] = HEADER,
        **options: Any,
    ) -> FileResult:
        path = self.folder / "file.csv"
        path.write_text(text_of(*rows, header=header), newline="")
        result = ingest_file(self.models.urls.psycopg, path, source, received_by="test", **options)
        assert result.error is None
        return result

    def pause(self, *, paused: bool) -> None:
        """Pause DMI, the lender of the files that land by default, or resume it."""
        set_guards(self.models.connection, "DMI", {"paused": paused}, "asha")

    def replay(self, source: str = NACH, **options: Any) -> ReplayResult:
        return replay(self.models.urls.psycopg, source, **options)

    def run(self) -> dict[str, Row]:
        """One run of the pipeline; returns the payments of CORE by loan."""
        self.models.build()
        self.runs += 1
        run_posting(self.settings, self.models.urls.psycopg, AUTOMATED, f"run-{self.runs}")
        return {str(each["loan_external_id"]): each for each in self.models.core()}

    def ledger(self) -> list[tuple[str, str]]:
        """Loan and amount of every repayment, the undone ones too."""
        rows = self.sandbox.get("ledger")
        return sorted((each["loanExternalId"], each["amount"]) for each in rows)

    def table(self, name: str) -> list[Row]:
        """The rows of a table of CORE; of the exceptions those that hold nothing, of the holds
        those that are a person's."""
        if name == "CORE_HOLD":
            return self.models.rows(
                """SELECT * FROM "CORE"."CORE_HOLD" WHERE reason_code <> 'asked_first'
                   ORDER BY id"""
            )
        if name == "CORE_EXCEPTION":
            return self.models.rows(
                'SELECT * FROM "CORE"."CORE_EXCEPTION" WHERE NOT holds ORDER BY id'
            )
        return self.models.rows(f'SELECT * FROM "CORE"."{name}"')


def loan(n: int, ref: str, **changes: str) -> list[str]:
    return row(Loan_Account_Number=f"DMI-APP-{n}", Presentation_Reference=ref,
               UMRN=f"HDFC{n:016}", **changes)  # fmt: skip
