"""The number of requests under way, against a simulated Fineract. No clock, no network."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repayment_platform.posting.pace import Pace, Why
from repayment_platform_tests.posting.queueing import Capacity, Run, Seen

CEILING = 50
FIXED = (1, 2, 3, 4, 5, 6, 8, 10, 50)
SERVICE = 0.045


def run(course: Sequence[Capacity], pace: Pace | None = None, **how: float) -> list[Seen]:
    return Run(pace or Pace(CEILING), course, **how).seen  # type: ignore[arg-type]


def by_fixed_numbers(capacity: Capacity, **how: float) -> tuple[float, float]:
    """The best rate of any fixed number, and the latency of the smallest with 95 % of it."""
    seen = {number: run([capacity], Pace(number, floor=number), **how)[0] for number in FIXED}
    best = max(one.rate for one in seen.values())
    smallest = min(number for number, one in seen.items() if one.rate >= 0.95 * best)
    return best, seen[smallest].latency


def cores(*numbers: int, seconds: float = 20) -> list[Capacity]:
    return [Capacity(seconds, number, SERVICE) for number in numbers]


@pytest.mark.parametrize("pause", [0.004, 0.01, 0.02])
def test_it_posts_as_fast_as_the_best_fixed_number_and_waits_no_longer_than_it_must(
    pause: float,
) -> None:
    """From the first answer on, and through half and twice the capacity."""
    fixed = {n: by_fixed_numbers(Capacity(10, n, SERVICE), pause=pause) for n in (1, 2, 4)}
    for seed in range(3):
        for seen in run(cores(2, 1, 2, 4, 2), pause=pause, seed=seed):
            best, latency = fixed[seen.capacity.cores]
            assert seen.rate >= 0.95 * best, seen.capacity
            assert seen.latency <= 1.5 * latency, seen.capacity


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 8),
    st.sampled_from([0.02, 0.1, 0.5]),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 9),
)
def test_it_finds_half_and_twice_the_capacity(
    half: int, service: float, spread: float, seed: int
) -> None:
    seconds = 400 * service
    course = [Capacity(seconds, n, service, spread) for n in (2 * half, half, 2 * half, 4 * half)]
    for seen in run(course, pause=service / 20, seed=seed)[1:]:
        most = seen.capacity.cores / (service * (1.02 if not spread else 1))
        assert seen.rate >= 0.7 * most
        assert seen.latency <= 4 * service


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans()), min_size=20, max_size=400),
)
def test_whatever_is_answered_it_stays_between_one_and_the_ceiling(
    ceiling: int, answers: list[tuple[float, bool, bool]]
) -> None:
    pace, now = Pace(ceiling), 0.0
    for latency, trouble, full in answers:
        if full:
            pace.full()
        sent, now = now, now + latency
        (pace.troubled if trouble else pace.answered)(sent, sent, now)
        assert 1 <= pace.limit <= ceiling
        assert pace.limit <= pace.standing.highest <= ceiling


def test_it_starts_with_one() -> None:
    assert Pace(CEILING).limit == 1


def test_where_nobody_waits_in_line_it_grows_to_the_ceiling() -> None:
    pace = Pace(30)
    run([Capacity(20, 1000, 0.1, 0.3)], pace)
    assert pace.limit >= 28


def test_it_goes_on_growing_where_latency_rises_and_throughput_with_it() -> None:
    slowed_down = Capacity(30, 64, SERVICE, 0.2, contention=0.1)
    best, _ = by_fixed_numbers(slowed_down)
    [seen] = run([slowed_down])
    assert seen.rate >= 0.8 * best


def test_a_slower_fineract_of_as_many_cores_is_not_taken_for_a_line() -> None:
    usual, slow = Capacity(10, 20, SERVICE, 0.2), Capacity(60, 20, 4 * SERVICE, 0.2)
    for seed in range(3):
        seen = run([usual, slow, usual], seed=seed)
        assert seen[1].rate >= 0.8 * 20 / (4 * SERVICE)
        assert seen[2].rate >= 0.8 * 20 / SERVICE


def test_it_does_not_grow_while_nobody_would_use_more() -> None:
    pace = Pace(CEILING)
    Run(pace, cores(30), workers=3)
    assert pace.standing.highest <= 4


def test_where_too_many_at_once_bring_trouble_it_stays_with_fewer() -> None:
    pace = Pace(CEILING)
    [seen] = Run(pace, cores(50), fails=lambda under_way: 0.5 * (under_way > 10)).seen
    assert seen.limit <= 14
    assert seen.rate >= 0.7 * 10 / SERVICE


def test_it_falls_when_errors_come_and_says_why() -> None:
    pace = Pace(CEILING)
    run(cores(20, seconds=6), pace)
    before, now = pace.limit, 100.0
    for n in range(10 * before):
        pace.troubled(now + n, now + n, now + n + 0.01)
    assert pace.limit <= 0.3 * before
    assert pace.standing.why is Why.TROUBLE


def test_some_trouble_that_has_nothing_to_do_with_the_number_hardly_lowers_it() -> None:
    [seen] = Run(Pace(CEILING), cores(20, seconds=30), fails=lambda _under_way: 0.02).seen
    assert seen.rate >= 0.8 * 20 / SERVICE


def test_an_answer_to_what_was_sent_under_another_number_counts_for_nothing() -> None:
    pace = Pace(CEILING)
    for n in range(5):
        pace.full()
        pace.answered(n, n, n + 0.1)
    assert pace.limit == 2
    for _ in range(100):
        pace.troubled(0, 0, 20)
    assert pace.limit == 2


def test_a_fixed_number_stays_and_its_latency_is_told() -> None:
    pace = Pace(7, floor=7)
    [seen] = run(cores(2), pace)
    assert (pace.limit, pace.standing.highest, pace.standing.why) == (7, 7, None)
    assert pace.standing.latency_seconds == pytest.approx(seen.latency, rel=0.1)


def test_a_floor_above_the_ceiling_is_refused() -> None:
    with pytest.raises(ValueError, match="floor"):
        Pace(3, floor=4)
