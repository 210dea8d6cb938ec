"""A stream of made-up payments without end, sent to a platform that runs meanwhile.

What belongs here: what has been sent of a stream, going on with it, the truth about it. What does
not: the way to the platform (`outlet`), when the next story is due (the command).

A stream is its seed, its day and how many stories have been told: all else can be told again.
So a stream goes on where it ended, and what a killed one sent since its last checkpoint is sent
again, the same bytes, which land nothing new.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

from repayment_platform.sample_data import truth
from repayment_platform.sample_data.cases import LIVE_MIXES, Teller
from repayment_platform.sample_data.folder import TRUTH
from repayment_platform.sample_data.model import Due, Event, LoanStatus, State
from repayment_platform.sample_data.outlet import Outlet, Row, StoryParts
from repayment_platform.sample_data.world import World

STATE = "stream.json"
NUMBERS_AFTER = 500_000
"""Above the loans and references of any sample folder that the platform has read."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a stream stands; `date` is the ISO day that it takes for today."""

    seed: int
    date: str
    told: int = 0


def read_checkpoint(root: Path) -> Checkpoint | None:
    """Where the stream of this folder stands, None when there is none."""
    path = root / STATE
    return Checkpoint(**json.loads(path.read_bytes())) if path.exists() else None


class Stream:
    """Tells stories and sends them; rows of files are sent with the next `checkpoint`."""

    def __init__(self, root: Path, start: Checkpoint) -> None:
        """Tell again, to nobody, what `start` counts."""
        self._root = root
        self._start = start
        self._outlet: Outlet | None = None
        self._told = 0
        self._parts = StoryParts()
        self._lent: set[str] = set()
        self._totals = {"payments": 0, "due": 0}
        today = date.fromisoformat(start.date)
        self.world = World(start.seed, today, self._lend, NUMBERS_AFTER)
        self._teller = Teller(self.world, self, LIVE_MIXES)
        self._written = StringIO()
        self._truth = truth.TruthWriter(self._written)
        while self._told < start.told:
            self.tell()

    @property
    def counts(self) -> Mapping[str, int]:
        """Stories, payments and payments that must be posted; what was sent from here on."""
        return {
            "stories": self._told,
            **self._totals,
            **(self._outlet.sent if self._outlet else {}),
        }

    def send_to(self, outlet: Outlet) -> None:
        """From now on stories are sent."""
        self._outlet = outlet

    def tell(self) -> None:
        """Tell the next story.

        Raises:
            Unsent: it could not be sent, or not wholly; to be told again by another stream.
        """
        self._parts = StoryParts()
        self._teller.tell()
        if self._outlet:
            self._outlet.send(self._parts)
        self._told += 1

    def checkpoint(self) -> None:
        """Send the files with the rows so far, and remember that all of it has been sent."""
        if self._outlet:
            self._outlet.drop_files(self._told)
        reached = asdict(self._start) | {"told": self._told}
        _replace(self._root / STATE, json.dumps(reached))

    def close(self) -> None:
        """Write the truth's file, whole: another process may be at the same stream."""
        self._truth.close({"seed": self._start.seed, "date": self._start.date, "told": self._told})
        _replace(self._root / TRUTH, self._written.getvalue())

    def differences(self, ledger: list[dict[str, Any]]) -> list[str]:
        """How the ledger's rows on loans of this stream differ from the truth; after `close`."""
        rows = [row for row in ledger if row["loanExternalId"] in self._lent]
        return truth.compare(truth.read(self._root / TRUTH), rows)

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
        self._totals["payments"] += 1
        self._totals["due"] += state is State.SUCCESS

    def row(self, form: str, period: int, fields: Mapping[str, Any]) -> None:
        self._parts.rows.append(Row(form, period, self.world.file_day(period), fields))

    def event(self, event: Event, copies: int = 1) -> None:
        self._parts.events.append((event, copies))

    def _lend(self, loan: str, status: LoanStatus, emi: Decimal) -> None:
        self._lent.add(loan)
        self._parts.loans.append(self.world.loan_fields(loan, status, emi))


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
