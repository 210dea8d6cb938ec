"""How many requests may be under way at once: a law that follows what Fineract takes.

What belongs here: that law, pure, with its caller's clock. What does not: what a round of answers
tells (`rounds`), waiting for one's turn and which answers are trouble (`permits`).

It is Netflix's *gradient* with the short queue of TCP Vegas. After each round of answers

    next number = number × usual latency ÷ latency + QUEUED

Latency is the usual one as long as nobody waits in line, and then throughput grows with the number
(Little's law): so does the number. It comes to rest with about one request in line: Fineract always
has something to do, and nobody waits long. Three more known rules go with it. The first steps
double the number, as TCP's slow start. Trouble takes its share of the number, as the marks of DCTCP
do. The usual latency is measured now and then with half as many under way, as BBR does with fewer,
since a machine that has become slower looks like a line.

The last word has throughput: a step down that has cost some is taken back.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from repayment_platform.posting.rounds import Latency, Rates, Round

QUEUED = 0.75
"""So many requests may wait in line; the number grows by so much in a round without a line."""
TOLERANCE = 1.1
"""Up to so many times the usual latency is no line."""
STEEPEST = 0.5
"""Of the number at least so much is left after a round."""
DOUBLING_BRINGS = 1.25
"""As long as twice the number brings so many times the throughput, it is doubled."""
KEEPS = 0.94
"""A smaller number is worth it where so much of the throughput is kept."""
TRIED = 4
"""A fourth more, at least one, is tried now and then."""
LEAST_ANSWERS, LEAST_AT_FIRST = 10, 5
"""In a round, and as long as the number doubles; with many under way, two for each."""
MEASURED_EVERY = (20.0, 60.0)
"""Seconds from one measuring of the usual latency to the next, while there is a line: fifty times
as long as the last one took, within these bounds."""
MEASURED_AGAIN = 3.0
"""Seconds, or five times as long as it took: when something has changed."""
CHANGED = 1.5
"""So many times slower or faster than a round before is a change."""
LATEST = 100
"""Requests whose median latency is told."""
LINE = 5
"""Requests by whose latency it is told when a longer line has gone."""
MEASURING = (50, 1.0)
"""Answers and seconds after which measuring ends, however much they differ."""


class Why(StrEnum):
    """Why the number changed."""

    THROUGHPUT = "throughput grows with it"
    LATENCY = "latency rises without throughput"
    TROUBLE = "conflicts or errors"
    MEASURING = "measuring the latency without a line"


@dataclass(frozen=True)
class Standing:
    """What is known of Fineract's pace."""

    limit: int
    """How many requests may be under way."""
    highest: int
    latency_seconds: float | None
    """Median of the latest requests; None before the first."""
    former: int
    """The number before the last change."""
    why: Why | None
    """Why it changed last; None if it never did."""
    changed_at: float | None
    """When, by the clock of the answers."""


class Pace:
    """The number, from answers. Times are seconds of any one clock that never goes back."""

    def __init__(self, ceiling: int, *, floor: int = 1) -> None:
        """Never under `floor` nor over `ceiling`; where they are equal the number is fixed."""
        if not 1 <= floor <= ceiling:
            raise ValueError("it must hold that 1 <= floor <= ceiling")
        self._floor, self._ceiling = floor, ceiling
        self._number = float(floor)
        """The limit with the fraction that it has grown by since."""
        self._limit = self._former = self._highest = floor
        self._why: Why | None = None
        self._changed_at: float | None = None
        self._counts_from = float("-inf")
        self._latest: deque[float] = deque(maxlen=LATEST)
        self._round = Round()
        self._rates = Rates()
        self._usual = Usual()
        self._doubles = True
        self._fell_from: int | None = None
        """The number before the round, if this round is the first of a smaller one."""
        self._measuring_for: int | None = None
        """While the usual latency is measured: the number to go back to."""

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return self._limit

    @property
    def standing(self) -> Standing:
        latency = median(self._latest) if self._latest else None
        return Standing(
            self._limit, self._highest, latency, self._former, self._why, self._changed_at
        )

    def full(self) -> None:
        """As many are under way as may be: a greater number would be used."""
        self._round.was_full = True

    def answered(self, taken: float, sent: float, now: float) -> None:
        """Something was done: when its permit was taken, when it was sent, and now the answer."""
        self._latest.append(now - sent)
        self._count(taken, sent, now, now - sent)

    def troubled(self, taken: float, sent: float, now: float) -> None:
        """Something ended in a conflict, an error of the server, or without an answer."""
        self._count(taken, sent, now, None)

    def _count(self, taken: float, sent: float, now: float, latency: float | None) -> None:
        # What was sent under another number, or behind what was, says nothing about this one.
        if sent < self._counts_from:
            return
        self._round.add(now - taken, latency)
        if self._is_whole(now):
            ended, self._round = self._round, Round()
            self._end(ended, now)

    def _is_whole(self, now: float) -> bool:
        answers, seconds = MEASURING
        least = LEAST_AT_FIRST if self._doubles else LEAST_ANSWERS
        if self._round.asked < max(least, 2 * self._limit):
            return False
        if self._measuring_for is None or self._round.latency.is_exact:
            return True
        return self._round.asked >= answers or now - (self._changed_at or now) > seconds

    def _end(self, ended: Round, now: float) -> None:
        latency = ended.latency
        if self._floor == self._ceiling:
            return
        self._rates.note(self._limit, ended.rate_of(self._limit))
        if self._measuring_for is not None:
            self._usual.measured(latency, now, now - (self._changed_at or now))
            self._set(self._measuring_for, Why.MEASURING, now)
            self._measuring_for = None
            return
        if self._usual.notice(latency, self._limit, now):
            self._rates = Rates()
        fell_from, self._fell_from = self._fell_from, None
        if fell_from and not ended.share and self._costs(self._limit, fell_from):
            self._set(fell_from, Why.THROUGHPUT, now)
        elif not self._measures(latency, now) and not self._has_doubled(ended, now):
            self._follow(ended, now)

    def _measures(self, latency: Latency, now: float) -> bool:
        """Whether it is time to measure the usual latency: then that begins."""
        half = max(self._floor, self._limit // 2)
        if self._usual.share_of(latency) == 1 or half == self._limit or not self._usual.is_due(now):
            return False
        self._measuring_for = self._limit
        self._set(half, Why.MEASURING, now)
        return True

    def _has_doubled(self, ended: Round, now: float) -> bool:
        """At the start, as long as that brings throughput."""
        if not self._doubles or not (ended.was_full or ended.share):
            return False
        brought = self._rates.times(self._limit, self._former)
        at_first = self._limit == self._floor
        self._doubles = not ended.share and (at_first or (brought or 0) >= DOUBLING_BRINGS)
        if self._doubles:
            self._set(2 * self._limit, Why.THROUGHPUT, now)
        self._doubles = self._doubles and self._limit < self._ceiling
        return self._doubles

    def _follow(self, ended: Round, now: float) -> None:
        """The law."""
        kept = self._usual.share_of(ended.latency)
        number = self._limit if kept < 1 else self._number
        number = number * max(STEEPEST, kept * (1 - ended.share / 2)) + QUEUED
        if ended.share and number < self._limit:
            self._set(number, Why.TROUBLE, now)
        elif number < self._limit and not self._costs(int(number), self._limit):
            self._fell_from = self._limit
            self._set(int(number), Why.LATENCY, now)
        elif ended.was_full and number >= self._limit + (kept < 1):
            self._set(min(number, self._limit + 1), Why.THROUGHPUT, now)
        elif ended.was_full and not ended.share:
            self._try_more(now)

    def _try_more(self, now: float) -> None:
        """Whether there is more throughput behind the line; if not, the law takes it back."""
        more = self._limit + max(1, self._limit // TRIED)
        if self._rates.of(more) is None:
            self._set(more, Why.THROUGHPUT, now)

    def _costs(self, smaller: int, larger: int) -> bool:
        """Whether the smaller number is known to cost throughput."""
        kept = self._rates.times(smaller, larger)
        return kept is not None and kept < KEEPS

    def _set(self, number: float, why: Why, now: float) -> None:
        self._number = max(self._floor, min(number, self._ceiling))
        if int(self._number) != self._limit:
            self._former, self._limit = self._limit, int(self._number)
            fell = self._limit < self._former and self._latest
            self._counts_from = now + (median(list(self._latest)[-LINE:]) if fell else 0)
            self._highest = max(self._highest, self._limit)
            self._why, self._changed_at = why, now
            self._round = Round()


class Usual:
    """The latency without a line, and when it is to be measured anew."""

    def __init__(self) -> None:
        self._latency = Latency()
        self._measured_at = float("-inf")
        self._took = 0.0
        self._former: tuple[float, int] | None = None
        """Latency of the round before and how many were under way."""

    def share_of(self, latency: Latency) -> float:
        """Usual by present latency, 1 where the present one is not certainly longer."""
        return min(1.0, TOLERANCE * self._latency.times_at_most(latency))

    def notice(self, latency: Latency, limit: int, now: float) -> bool:
        """A round with so many under way had this latency; whether Fineract is another now."""
        if not latency.mean:
            return False
        if limit == 1:
            self._latency, self._measured_at = latency, now
        elif not self._latency.mean or latency.times_at_most(self._latency) < 1:
            self._latency = latency
        former, self._former = self._former, (latency.mean, limit)
        if former is None or not self._is_another(former, self._former):
            return False
        self._soon(now)
        return True

    @staticmethod
    def _is_another(former: tuple[float, int], now: tuple[float, int]) -> bool:
        """Whether Fineract is another: slower without more under way, or faster without less."""
        (then_took, then_limit), (takes, limit) = former, now
        slower = limit <= then_limit and takes > CHANGED * then_took
        faster = limit >= then_limit and takes < then_took / CHANGED
        return slower or faster

    def measured(self, latency: Latency, now: float, took: float) -> None:
        self._measured_at, self._took = now, took
        if latency.mean:
            if latency.mean > TOLERANCE * self._latency.mean:
                self._soon(now)  # with half as many there may still have been a line
            self._latency = latency

    def is_due(self, now: float) -> bool:
        return now - self._measured_at >= self._every

    @property
    def _every(self) -> float:
        least, most = MEASURED_EVERY
        return max(least, min(50 * self._took, most))

    def _soon(self, now: float) -> None:
        wait = max(MEASURED_AGAIN, 5 * self._took)
        self._measured_at = min(self._measured_at, now - self._every + wait)
