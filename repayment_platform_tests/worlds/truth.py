"""What really moved, and what is reported of it.

What belongs here: movements, reports and stories, as plain data. What does not: which stories there
are (`plain`, `slips`), how a report looks in RAW (`files`, `events`), the platform.

Days are numbers of a world's calendar, 0 = its first day. Amounts are rupees.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Any

STEP_DAYS = 10
"""A run follows every so many days."""
STEPS = 9
RUPEES = tuple(map(Decimal, (1000, 2500, 3500, 5000, 7000)))
"""Few, so that equal amounts happen; no two within 100 rupees or 2 % of each other."""


class Says(StrEnum):
    """What a report says became of the money."""

    PAID = "paid"
    FAILED = "failed"
    BOUNCED = "bounced"
    RETURNED = "taken back"
    REFUNDED = "refunded"
    NOTHING = "nothing"
    """An event that is no word on any money."""


@dataclass(eq=False)
class Movement:
    """Money that moved, once."""

    loan: str
    amount: Decimal
    day: int
    days: set[int] = field(default_factory=set)
    """The days that it may be posted with: those that exact reports state."""
    back: list[tuple["Report", Decimal]] = field(default_factory=list)
    """What was given back, and the report that tells of it. A movement that never was is one
    whose withdrawal gives everything back."""
    plain_to_see: bool = False
    """That its only report is wrong, is told by what is usual."""

    def left(self) -> Decimal:
        """What is not given back, as far as has landed."""
        given = sum((rupees for report, rupees in self.back if report.landed), Decimal(0))
        return max(self.amount - given, Decimal(0))


@dataclass(eq=False)
class Report:
    """One row of a file or one event, as its source states it."""

    story: "Story"
    number: int
    table: str
    movement: Movement
    at: int
    """The day on which it arrives."""
    says: Says = Says.PAID
    loan: str | None = None
    amount: Decimal = Decimal(0)
    day: int | None = None
    """Of payment; with banks of settlement."""
    presented: int | None = None
    ref: str | None = None
    utr: str | None = None
    umrn: str | None = None
    mode: str | None = None
    name: str = ""
    """Of an event: which kind."""
    more: dict[str, Any] = field(default_factory=dict)
    """What else an event holds."""
    turn: int = 0
    """Its file's or its own place among those of one day."""
    file: str = ""
    """Tells a file from others of its source and turn."""
    replaces: "Report | None" = None
    """The row of a superseded file, or the replayed one, that this one stands for."""
    withdrawn: bool = False
    raw_id: int | None = None
    refused: bool = False
    """It was quarantined, or its file refused: people are told by the loader."""

    @property
    def landed(self) -> bool:
        return self.raw_id is not None or self.refused

    @property
    def step(self) -> int:
        return self.at // STEP_DAYS

    def told(self) -> str:
        """In one line."""
        names = ("loan", "amount", "day", "presented", "ref", "utr", "umrn", "mode")
        said = {name: value for name in names if (value := getattr(self, name)) is not None}
        said |= self.more
        facts = " ".join(f"{name}={value}" for name, value in said.items())
        stands_for = f" replaces {self.replaces.raw_id}" if self.replaces else ""
        row = f"#{self.number} row {self.raw_id}{stands_for}"
        what = f"{self.name or self.says}{' withdrawn' if self.withdrawn else ''}"
        place = f"step {self.step} day {self.at}.{self.turn} {self.table}{self.file}"
        return f"{place} {row}: {what} {facts}"


@dataclass(eq=False)
class Ask:
    """From when on a person must be asked about a movement, or may be."""

    movements: tuple[Movement, ...]
    """One of these."""
    because: tuple[Report, ...]
    required: bool
    step: int = 0
    """Not before this one."""
    was_asked: bool = False

    def due(self, step: int) -> bool:
        """Whether everything that contradicts has landed."""
        return step >= self.step and all(report.landed for report in self.because)


@dataclass(eq=False)
class Story:
    """A loan, what moved on it, and what is reported of that."""

    rng: Random
    lender: str
    loan: str
    umrn: str
    number: int
    prefix: str
    """Of the ids of its world, which no other world bears."""
    slip: str = "plain"
    digits: bool = False
    """Its bank's references are numbers."""
    start: int | None = None
    """The day of its first payment, where its world wants full files."""
    is_shuffled: bool = False
    """Its reports can be taken for one another's; what is lost shows when all have landed."""
    order: str = ""
    """How its two sources take turns: `alone`, `beside`, or as it is drawn."""
    movements: list[Movement] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    acts: list[tuple[int, str, Any]] = field(default_factory=list)
    """What a person does of himself after a step: (step, act, about)."""
    loans: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loans.append(self.loan)

    def moved(self, day: int, amount: Decimal | int | None = None, loan: str = "") -> Movement:
        rupees = self.rng.choice(RUPEES) if amount is None else Decimal(amount)
        movement = Movement(loan or self.loan, rupees, day, {day})
        self.movements.append(movement)
        return movement

    def another_loan(self) -> str:
        loan = f"{self.loan}9"
        self.loans.append(loan)
        return loan

    def id(self, name: str = "") -> str:
        """An id that nothing else bears, whatever its case, zeros and punctuation."""
        return f"{name}{self.prefix}{self.number:02}{self.rng.randrange(10**6):06}"

    def must_ask(self, movement: Movement, *because: Report, step: int = 0) -> None:
        """A person must be asked about it once these reports have landed."""
        self.asks.append(Ask((movement,), because, required=True, step=step))

    def must_ask_one(self, movements: tuple[Movement, ...], *because: Report) -> None:
        """Of these movements, nobody can say about which."""
        self.asks.append(Ask(movements, because, required=True))

    def may_ask(self, movement: Movement, *because: Report) -> None:
        self.asks.append(Ask((movement,), because, required=False))

    def may_be_asked(self, step: int) -> bool:
        """Whether something has landed that a person may be asked about."""
        return any(ask.due(step) for ask in self.asks)


def add(story: Story, table: str, movement: Movement, at: int, **stated: Any) -> Report:
    """A report of a movement that states its facts, but for what is given."""
    facts: dict[str, Any] = {
        "loan": movement.loan, "amount": movement.amount, "day": movement.day, **stated,
    }  # fmt: skip
    report = Report(story, len(story.reports), table, movement, at, **facts)
    story.reports.append(report)
    return report


def again(report: Report, at: int, **changes: Any) -> Report:
    """The same report once more on another day, but for what is given."""
    names = ("says", "loan", "amount", "day", "presented", "ref", "utr", "umrn", "mode", "name")
    facts = {name: getattr(report, name) for name in (*names, "more")} | changes
    return add(report.story, report.table, report.movement, at, **facts)


def in_order(stories: list[Story]) -> Iterator[Report]:
    for story in stories:
        yield from story.reports
