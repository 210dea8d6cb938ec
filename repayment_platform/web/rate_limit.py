"""How many requests one address may send.

What belongs here: counting per address. What does not: what is refused, and how.
"""

from collections import OrderedDict

MOST_ADDRESSES = 10_000
"""Remembered at once; the one that has been silent longest is forgotten first."""


class RateLimit:
    """A token bucket for each address: `per_second` on average, a second's worth at once."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Count one request. `now` is in seconds of a clock that never goes back."""
        full = max(self._per_second, 1.0)
        tokens, since = self._buckets.pop(address, (full, now))
        tokens = min(full, tokens + (now - since) * self._per_second)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - allowed, now)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return allowed
