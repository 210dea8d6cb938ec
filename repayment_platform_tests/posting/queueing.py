"""A Fineract of so many cores and a run that posts to it, both simulated with a virtual clock."""

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from statistics import median

from repayment_platform.posting.pace import Pace


@dataclass(frozen=True)
class Capacity:
    """What Fineract can do, for so many seconds."""

    seconds: float
    cores: int
    service: float
    """Seconds for one request that waits for nobody."""
    spread: float = 0.0
    """Of the service times: standard deviation by mean."""
    contention: float = 0.0
    """Each further request being worked on slows all down by so much of the service time."""


@dataclass
class Seen:
    """What came of a capacity: answers, and the number of requests under way at its end."""

    capacity: Capacity
    latencies: list[float] = field(default_factory=list)
    limit: int = 0

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.capacity.seconds

    @property
    def latency(self) -> float:
        return median(self.latencies)


class Run:
    """A run with more to post than there is time for."""

    def __init__(
        self,
        pace: Pace,
        course: Sequence[Capacity],
        *,
        pause: float = 0.004,
        workers: int = 50,
        fails: Callable[[int], float] = lambda _under_way: 0,
        seed: int = 0,
    ) -> None:
        """`pause`: seconds between an answer and the next request under the same permit; `fails`:
        how likely trouble is with so many under way."""
        self._pace, self._pause, self._workers, self._fails = pace, pause, workers, fails
        self._rng = random.Random(seed)
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._line: deque[tuple[float, float]] = deque()
        """When the permit of each was taken, and when it was sent."""
        self._busy = self._in_use = self._under_way = 0
        self.seen: list[Seen] = []
        begins = 0.0
        for capacity in course:
            self._at(begins, partial(self._change, capacity))
            begins += capacity.seconds
        self._play(until=begins)

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), event))

    def _play(self, until: float) -> None:
        while self._events[0][0] < until:
            self._now, _, event = heapq.heappop(self._events)
            event()
            self._serve()
            self._send()

    def _change(self, capacity: Capacity) -> None:
        self.seen.append(Seen(capacity))

    def _send(self) -> None:
        while self._in_use < min(self._pace.limit, self._workers):
            self._in_use += 1
            pause = self._pause * self._rng.uniform(0.5, 1.5)
            self._at(self._now + pause, partial(self._arrive, self._now))
        if self._in_use >= self._pace.limit:
            self._pace.full()

    def _arrive(self, taken: float) -> None:
        self._under_way += 1
        self._line.append((taken, self._now))

    def _serve(self) -> None:
        while self._line and self._busy < self.seen[-1].capacity.cores:
            taken, sent = self._line.popleft()
            self._busy += 1
            answer = partial(self._answer, taken, sent)
            self._at(self._now + self._service(), answer)

    def _service(self) -> float:
        capacity = self.seen[-1].capacity
        mean = capacity.service * (1 + capacity.contention * (self._busy - 1))
        if not capacity.spread:
            return mean * self._rng.uniform(1, 1.04)
        shape = capacity.spread**-2
        return self._rng.gammavariate(shape, mean / shape)

    def _answer(self, taken: float, sent: float) -> None:
        trouble = self._rng.random() < self._fails(self._under_way)
        self._busy -= 1
        self._in_use -= 1
        self._under_way -= 1
        if trouble:
            self._pace.troubled(taken, sent, self._now)
        else:
            self._pace.answered(taken, sent, self._now)
            self.seen[-1].latencies.append(self._now - sent)
        self.seen[-1].limit = self._pace.limit
