"""What an operator sees of a posting run in Dagster."""

from repayment_platform.defs.posting import STOPPED_EARLY, how_it_ended, run_metadata
from repayment_platform.posting.model import Summary
from repayment_platform.posting.pace import Standing, Why


def metadata(standing: Standing | None) -> dict[str, object]:
    shown = run_metadata(Summary("r", pace=standing), [])
    return {name: value.value for name, value in shown.items()}


def test_the_metadata_say_how_many_were_under_way_how_long_they_took_and_why_it_changed() -> None:
    shown = metadata(Standing(3, 8, 0.0451, 4, Why.LATENCY, 12.0))
    assert shown["under_way"] == 3
    assert shown["under_way_highest"] == 8
    assert shown["latency_ms"] == 45.1
    assert shown["under_way_changed"] == "4 → 3: latency rises without throughput"


def test_a_number_that_never_changed_is_said_to_be_so() -> None:
    assert metadata(Standing(1, 1, 0.02, 1, None, None))["under_way_changed"] == "not at all"


def test_of_a_run_that_sent_nothing_there_is_no_pace() -> None:
    assert "under_way" not in metadata(None)
    assert "under_way" not in metadata(Standing(1, 1, None, 1, None, None))


def test_a_run_that_was_told_to_stop_does_not_blame_fineract() -> None:
    assert how_it_ended(Summary("r", stopped="no connection")) == STOPPED_EARLY
    told = Summary("r", stopped="stopped on request (SIGTERM)", was_told_to_stop=True)
    assert how_it_ended(told) == "posting was told to stop"
