"""What a round of answers tells."""

import pytest

from repayment_platform.posting.rounds import REMEMBERED_ROUNDS, Latency, Rates, Round


def test_latency_leaves_the_odd_answer_aside_and_knows_how_sure_it_is() -> None:
    steady, odd = Latency.of([0.1] * 12), Latency.of([0.1] * 11 + [9.0])
    assert (steady.mean, steady.error, steady.is_exact) == (pytest.approx(0.1), 0.0, True)
    assert odd.mean == pytest.approx(0.1)
    assert not odd.is_exact


def test_two_latencies_within_their_errors_count_as_equal() -> None:
    usual, longer = Latency(0.10, 0.02), Latency(0.12, 0.02)
    assert usual.times_at_most(longer) > 1
    assert Latency(0.10).times_at_most(Latency(0.20)) == 0.5


def test_of_a_latency_that_is_not_known_nothing_is_said() -> None:
    assert Latency.of([0.1]) == Latency()
    assert Latency().times_at_most(Latency(0.1)) == Latency(0.1).times_at_most(Latency()) == 1


def test_throughput_is_the_number_by_the_time_that_a_permit_is_held() -> None:
    told = Round(was_full=True)
    for latency in (0.1, 0.1, None, 0.1):
        told.add(0.2, latency)
    assert told.rate_of(4) == pytest.approx(20)
    assert told.share == 0.25


def test_a_round_with_permits_to_spare_says_nothing_of_throughput() -> None:
    told = Round()
    told.add(0.2, 0.1)
    assert told.rate_of(4) is None


def test_throughput_is_forgotten_after_some_rounds() -> None:
    rates = Rates()
    rates.note(3, 40.0)
    for _ in range(REMEMBERED_ROUNDS - 1):
        rates.note(4, 44.0)
    assert rates.times(3, 4) == pytest.approx(40 / 44)
    rates.note(4, 44.0)
    assert rates.times(3, 4) is None


def test_quite_another_throughput_with_the_same_number_is_another_fineracts() -> None:
    rates = Rates()
    rates.note(3, 40.0)
    rates.note(4, 44.0)
    rates.note(3, 20.0)
    assert (rates.of(3), rates.of(4)) == (20.0, None)
