"""`python -m repayment_platform_tests.faults.campaign`: play seeds and report.

What belongs here: options, progress, the report. What does not: the trials (`trial`).
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from repayment_platform_tests.faults.campaign.matrix import (
    OUTCOMES,
    Tally,
    as_markdown,
    rows_of,
)
from repayment_platform_tests.faults.campaign.trial import Verdict, trials

_SHOWN = 250
"""Lines of a story that are printed; the whole of it is in a file."""


@dataclass
class _Report:
    """What all seeds came to so far."""

    begin: float = field(default_factory=time.monotonic)
    seeds: int = 0
    payments: int = 0
    tally: Tally = field(default_factory=Counter)
    failed: list[Verdict] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        self.seeds += 1
        self.payments += verdict.payments
        self.tally.update(verdict.tally)
        if verdict.violations:
            self.failed.append(verdict)

    def __str__(self) -> str:
        seeds = f"violations in {len(self.failed)} of them" if self.failed else "no violation"
        took = time.monotonic() - self.begin
        return f"{self.seeds} seeds, {self.payments} payments, {took:.0f} s: {seeds}"


def main() -> int:
    """Exit code 1 when a rule was violated."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    one = options.seed is not None
    seeds = [options.seed] if one else range(options.first, options.first + options.seeds)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    report = _Report()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("seeds", total=len(seeds))
        for verdict in trials(list(seeds), options.jobs):
            report.add(verdict)
            progress.update(task, advance=1, description=f"{len(report.failed)} failed, seeds")
            if verdict.violations or one:
                progress.console.print(_told(verdict), markup=False)
            if verdict.violations and options.stop:
                break
    _show(report, console)
    if options.matrix:
        options.matrix.write_text(as_markdown(report.tally, _head(report)))
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="this one only, with its whole story")
    parser.add_argument("--jobs", type=int, default=1, help="seeds played side by side")
    parser.add_argument("--stop", action="store_true", help="stop at the first violation")
    parser.add_argument("--matrix", type=Path, help="write faults and outcomes as markdown")
    return parser


def _told(verdict: Verdict) -> str:
    """The violations and the story of a seed."""
    story = Path(tempfile.gettempdir()) / f"fault-campaign-seed-{verdict.seed}.txt"
    story.write_text(verdict.story)
    lines = verdict.story.splitlines()
    shown = lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"… the rest: {story}"]
    found = [f"VIOLATION {violation}" for violation in verdict.violations]
    seed = verdict.seed
    again = f"seed {seed}, {verdict.seconds:.1f} s; again: ./run faults --seed {seed}"
    return "\n".join((*shown, *found, again))


def _show(report: _Report, console: Console) -> None:
    table = Table(Column("trouble", no_wrap=True), *OUTCOMES)
    for row in rows_of(report.tally):
        table.add_row(*row)
    console.print(table)
    for verdict in report.failed:
        console.print(f"seed {verdict.seed}: {len(verdict.violations)} violations", markup=False)
    sys.stdout.write(f"{report}\n")


def _head(report: _Report) -> str:
    today = datetime.now(ZoneInfo("Asia/Kolkata")).date()
    command = f"./run faults {' '.join(sys.argv[1:])}"
    return (
        "# Fault matrix\n\n"
        f"Made by `{command}` on {today}: {report}.\n\n"
        "Each line is a kind of trouble: how often it struck, and what became of the payments "
        "that it struck. Rows with a process in them count what the process left in doubt.\n\n"
        "`claim` is the commit of an intent, `record` that of a result. `stuck_key`: Fineract "
        "keeps answering that the idempotency key is in work; `mysql_duplicate`: it answers a "
        "duplicate external id as with MySQL. The other names are the sandbox's faults "
        "(`repayment_platform/sandbox/faults.py`).\n"
    )


if __name__ == "__main__":
    sys.exit(main())
