"""How often a password may be tried.

What belongs here: counting tries, in this process. What does not: passwords, pages.

A stranger must not be able to lock a user out. So a name is counted per address first, and what is
refused there counts nowhere else; the name as a whole counts strangers only: an address from which
its user has logged in before is never refused for what others try.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

_NAME = RateLimitItemPerMinute(30, 15)
"""Of one name, from addresses that its user has never come from."""
_ADDRESS = RateLimitItemPerMinute(30, 15)
FREE_TRIES = 5
FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 900.0
MOST_PAIRS = 10_000
"""Remembered at once; the one that was tried longest ago is forgotten first."""

Clock = Callable[[], float]


class LoginLimit:
    """Whether a try is one too many. May be asked by several threads at once."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._pairs = BackOff(clock)
        self._lock = Lock()

    def allows(self, name: str, address: str, is_known: Callable[[], bool]) -> bool:
        """Count a try; False when it is one too many.

        Args:
            is_known: whether the user of that name has logged in from there before; asked only
                where that matters.
        """
        place = network_of(address)
        with self._lock:
            if not self._pairs.allows((name, place)):
                return False
            if not self._limiter.hit(_ADDRESS, "address", place):
                return False
        if is_known():
            return True
        with self._lock:
            return self._limiter.hit(_NAME, "name", name)

    def succeeded(self, name: str, address: str) -> None:
        """Whoever knows the password may mistype it again tomorrow."""
        with self._lock:
            self._pairs.forget((name, network_of(address)))


class BackOff:
    """Some tries are free; each further one must wait twice as long as the one before."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tried: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def allows(self, who: tuple[str, str]) -> bool:
        """Count a try, unless it comes too soon."""
        now = self._clock()
        tries, last = self._tried.get(who, (0, now))
        if now - last >= 2 * LONGEST_WAIT_SECONDS:
            tries = 0
        if now - last < self._wait(tries):
            return False
        self._tried[who] = tries + 1, now
        self._tried.move_to_end(who)
        if len(self._tried) > MOST_PAIRS:
            self._tried.popitem(last=False)
        return True

    def forget(self, who: tuple[str, str]) -> None:
        self._tried.pop(who, None)

    @staticmethod
    def _wait(tries: int) -> float:
        if tries < FREE_TRIES:
            return 0
        doubled = FIRST_WAIT_SECONDS * 2.0 ** min(tries - FREE_TRIES, 10)
        return min(LONGEST_WAIT_SECONDS, doubled)


def network_of(address: str) -> str:
    """What one subscriber has: of IPv6 a network of 64 bits, within which anybody may choose."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
