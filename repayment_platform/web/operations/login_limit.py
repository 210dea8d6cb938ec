"""How often a password may be tried.

What belongs here: counting tries per name and per address, in this process. What does not:
passwords, pages.
"""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

_PAIR = RateLimitItemPerMinute(5, 15)
_NAME = RateLimitItemPerMinute(30, 15)
"""More than one address may try, so that nobody locks a user out from one."""
_ADDRESS = RateLimitItemPerMinute(30, 15)


class LoginLimit:
    """Tries of a quarter of an hour: 5 of a name from one address, 30 of a name or an address."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def allows(self, name: str, address: str) -> bool:
        """Count a try; False when it is one too many."""
        # A list, not a generator: each of the three counts every try.
        return all(
            [
                self._limiter.hit(_PAIR, "pair", name, address),
                self._limiter.hit(_NAME, "name", name),
                self._limiter.hit(_ADDRESS, "address", address),
            ]
        )

    def succeeded(self, name: str, address: str) -> None:
        """Whoever knows the password may mistype it again tomorrow."""
        self._limiter.clear(_PAIR, "pair", name, address)
