"""Sample data as a folder: one folder a RAW table, the sandbox's loans, secrets and the truth.

What belongs here: writing what the stories send. What does not: telling them (`cases`).
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from repayment_platform.sample_data.layouts import FORMS
from repayment_platform.sample_data.model import IST, Due, Event, LoanStatus, State
from repayment_platform.sample_data.signing import demo_secrets, headers_of, write_secrets
from repayment_platform.sample_data.tables import PaymentFile
from repayment_platform.sample_data.truth import TruthWriter
from repayment_platform.sample_data.world import World
from repayment_platform.sources.registry import SOURCES

LOANS, SECRETS, TRUTH = "loans.json", "secrets.env", "truth.json"


@dataclass(frozen=True)
class Sent:
    """What went out through one source; repeated deliveries land nothing."""

    files: int = 0
    landed: int = 0
    quarantined: int = 0
    deliveries: int = 0


class Folder:
    """Takes in stories and writes them below `root`; complete once its `with` block is left."""

    def __init__(self, root: Path, seed: int, today: date) -> None:
        self.root = root
        self.world = World(seed, today, self._lend)
        self.payments = 0
        self._seed = seed
        self._files: dict[tuple[str, int], PaymentFile] = {}
        self._deliveries: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._secrets = demo_secrets()
        midday = datetime(today.year, today.month, today.day, 12, tzinfo=UTC) - IST
        self._clock_ms = int(midday.timestamp()) * 1000
        self._loans = (root / LOANS).open("w", encoding="utf-8", newline="\n")
        self._separator = "["
        self._truth = TruthWriter((root / TRUTH).open("w", encoding="utf-8", newline="\n"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        self._loans.write("\n]\n" if self._separator == "," else "[]\n")
        self._loans.close()
        write_secrets(self.root / SECRETS)
        self._truth.close(self._said())
        self._truth.stream.close()

    def payment(
        self,
        due: Due,
        state: State,
        code: str | None = None,
        *,
        dates: tuple[date, ...] = (),
        key_dates: tuple[date, ...] = (),
    ) -> None:
        self._truth.add(due, state, code, dates, key_dates)
        self.payments += 1

    def row(self, form: str, period: int, fields: Mapping[str, Any]) -> None:
        file = self._files.get((form, period))
        if file is None:
            wanted = FORMS[form]
            day = self.world.file_day(period)
            file = PaymentFile(self.root / wanted.table, wanted, period, day)
            self._files[form, period] = file
        file.add(fields)

    def event(self, event: Event, copies: int = 1) -> None:
        """Write a delivery and its repetitions: the same bytes, the same event id."""
        folder = self.root / event.table
        if not self._events[event.table]:
            folder.mkdir(exist_ok=True)
        self._events[event.table] += 1
        body = event.body.encode()
        for attempt in range(1, copies + 1):
            self._deliveries[event.table] += 1
            name = f"{self._deliveries[event.table]:06d}_{event.name}"
            self._clock_ms += 1
            headers = headers_of(event, body, attempt, self._secrets, self._clock_ms)
            (folder / f"{name}.json").write_bytes(body)
            (folder / f"{name}.headers.json").write_bytes(json.dumps(headers, indent=1).encode())

    def totals(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Per lender and state: count and rupees."""
        return self._truth.totals()

    def sent(self) -> dict[str, Sent]:
        """What each source sent, by RAW table."""
        return {table: self._sent(table) for table in SOURCES}

    def _sent(self, table: str) -> Sent:
        files = [file for (form, _), file in self._files.items() if FORMS[form].table == table]
        return Sent(
            files=len(files),
            landed=sum(file.landed for file in files) + self._events[table],
            quarantined=sum(file.quarantined for file in files),
            deliveries=self._deliveries[table],
        )

    def _lend(self, loan: str, status: LoanStatus, emi: Decimal) -> None:
        fields = self.world.loan_fields(loan, status, emi)
        self._loans.write(f"{self._separator}\n{json.dumps(fields)}")
        self._separator = ","

    def _said(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "date": self.world.today.isoformat(),
            "files": [
                {
                    "source": FORMS[form].table,
                    "name": file.path.name,
                    "landed": file.landed,
                    "quarantined": file.quarantined,
                }
                for (form, _), file in sorted(self._files.items())
            ],
            "webhooks": {
                table: {"deliveries": self._deliveries[table], "landed": self._events[table]}
                for table in sorted(self._deliveries)
            },
        }
