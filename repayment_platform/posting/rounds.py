"""What a round of answers tells: latency with its error, trouble, throughput.

What belongs here: the statistics of `pace`. What does not: what follows from them (`pace`).
"""

from dataclasses import dataclass, field
from math import hypot
from statistics import fmean, stdev

SURE = 1.5
"""Standard errors that two latencies must lie apart to count as different."""
EXACT = 0.03
"""A standard error of so little of the mean needs no further answers."""
REMEMBERED_ROUNDS = 30
"""A throughput measured longer ago says nothing any more."""
ANOTHER = 1.3
"""Throughput that is so many times what it was, or as many times less, is another Fineract's."""


@dataclass(frozen=True)
class Latency:
    """Seconds from a request to its answer; zeros where nothing is known."""

    mean: float = 0.0
    """Of the middle half: one odd answer says nothing."""
    error: float = 0.0
    """Standard error of the mean."""

    @classmethod
    def of(cls, seconds: list[float]) -> "Latency":
        if len(seconds) < 2:
            return cls()
        quarter = len(seconds) // 4
        middle = sorted(seconds)[quarter : len(seconds) - quarter]
        return cls(fmean(middle), stdev(seconds) / len(seconds) ** 0.5)

    @property
    def is_exact(self) -> bool:
        return self.error <= EXACT * self.mean

    def times_at_most(self, other: "Latency") -> float:
        """This by the other, if the other is as short as it may well be; 1 where one is unknown."""
        if not self.mean or not other.mean:
            return 1.0
        shortest = other.mean - SURE * hypot(self.error, other.error)
        return self.mean / shortest if shortest > 0 else float("inf")


@dataclass
class Round:
    """Answers that have come since the number was decided on."""

    seconds: list[float] = field(default_factory=list)
    """Latencies of what was done."""
    held: list[float] = field(default_factory=list)
    """Seconds that each permit was held."""
    was_full: bool = False
    """Whether a greater number would have been used."""

    def add(self, held: float, latency: float | None) -> None:
        """An answer; no latency where it was trouble."""
        self.held.append(held)
        if latency is not None:
            self.seconds.append(latency)

    @property
    def asked(self) -> int:
        return len(self.held)

    @property
    def share(self) -> float:
        """Of the answers that were trouble."""
        return 1 - len(self.seconds) / self.asked

    @property
    def latency(self) -> Latency:
        return Latency.of(self.seconds)

    def rate_of(self, number: int) -> float | None:
        """Answers a second with so many permits, none of them idle (Little's law: counted, they
        would be as many as happen to come together); None where some were."""
        held = fmean(self.held)
        return number / held if self.was_full and held else None


class Rates:
    """Throughput by the number of requests under way, as far as it is known from late."""

    def __init__(self) -> None:
        self._rounds = 0
        self._known: dict[int, tuple[float, int]] = {}

    def note(self, number: int, rate: float | None) -> None:
        """A round has ended, with this throughput if it says anything. Where it is quite another
        than before with the same number, what is known of other numbers holds no more either."""
        self._rounds += 1
        if rate is None:
            return
        former = self.of(number)
        if former is None or not 1 / ANOTHER <= rate / former <= ANOTHER:
            if former is not None:
                self._known.clear()
            former = rate
        self._known[number] = (rate + former) / 2, self._rounds

    def of(self, number: int) -> float | None:
        rate, when = self._known.get(number, (0.0, -REMEMBERED_ROUNDS))
        return rate if self._rounds - when < REMEMBERED_ROUNDS else None

    def times(self, number: int, other: int) -> float | None:
        """The throughput of one number by that of another; None where one is not known."""
        rate, others = self.of(number), self.of(other)
        return rate / others if rate and others else None
