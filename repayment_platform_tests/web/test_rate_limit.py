from hypothesis import given
from hypothesis import strategies as st

from repayment_platform.web.rate_limit import MOST_ADDRESSES, RateLimit

PAUSES = st.lists(st.floats(min_value=0, max_value=2), max_size=200)


@given(rate=st.floats(min_value=0.5, max_value=50), pauses=PAUSES)
def test_no_address_gets_more_than_its_rate_and_one_second_at_once(
    rate: float, pauses: list[float]
) -> None:
    limit, now, allowed = RateLimit(rate), 100.0, 0
    for pause in pauses:
        now += pause
        allowed += limit.allows("a", now)
    assert allowed <= (now - 100.0) * rate + max(rate, 1) + 1e-6


@given(rate=st.floats(min_value=0.5, max_value=50))
def test_an_address_within_its_rate_is_always_served(rate: float) -> None:
    limit = RateLimit(rate)
    assert all(limit.allows("a", number / rate * 1.0001) for number in range(100))


def test_one_address_does_not_use_up_anothers_rate() -> None:
    limit = RateLimit(1)
    assert [limit.allows(address, 0) for address in "aabb"] == [True, False, True, False]


def test_only_so_many_addresses_are_remembered() -> None:
    limit = RateLimit(1)
    for number in range(2 * MOST_ADDRESSES):
        limit.allows(str(number), 0)
    assert len(limit._buckets) == MOST_ADDRESSES
