"""A payment whose day or amount cannot be right is held before it is money."""

from datetime import date, timedelta
from typing import Any

import pytest

from repayment_platform.exceptions import plausibility
from repayment_platform_tests.posting.conftest import DAY, Bench
from repayment_platform_tests.posting.test_feed import _refresh, rows_read

SOURCE = "RAW_ARTHMATE_NACH_CSV"


def holds(bench: Bench) -> list[tuple[Any, ...]]:
    """Reason and words of each open hold."""
    query = """SELECT reason_code, reason FROM "CORE"."CORE_HOLD" WHERE decision IS NULL
               ORDER BY id"""
    return bench.connection.execute(query).fetchall()


def of_source(bench: Bench, count: int, amount: str = "100.00", **facts: Any) -> None:
    """That many payments of one source, each of another loan."""
    for n in range(count):
        bench.payment(f"OTHER-{n}", amount, sources=[SOURCE], **facts)


def paid_before(bench: Bench, *amounts: str, loan: str = "LN-1") -> None:
    """Earlier payments of a loan, which a run has seen."""
    bench.loans(loan)
    for n, amount in enumerate(amounts):
        bench.payment(loan, amount, DAY - timedelta(30 * (n + 1)), sources=[SOURCE])
    bench.post()


# ── the day ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("days", "state"), [(90, "success"), (91, "held")])
def test_a_payment_dated_more_than_ninety_days_before_it_landed_is_held(
    bench: Bench, days: int, state: str
) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", reported=DAY + timedelta(days))
    bench.post()
    assert bench.states() == {key: state}


def test_the_hold_says_how_long_before_and_what_is_usual(bench: Bench) -> None:
    bench.payment(day=date(2025, 11, 5), reported=date(2026, 11, 24), sources=[SOURCE])
    bench.post()
    assert holds(bench) == [
        (
            "implausible_day",
            "paid on 2025-11-05, 384 days before it was reported; usual are at most 90",
        )
    ]


def test_a_payment_of_a_day_to_come_is_held(bench: Bench) -> None:
    bench.loans("LN-1")
    today = bench.payment("LN-1", day=DAY, n="today")
    tomorrow = bench.payment("LN-1", day=DAY + timedelta(1), reported=DAY)
    bench.post()
    assert bench.states() == {today: "success", tomorrow: "held"}
    assert holds(bench) == [
        (
            "implausible_day",
            "paid on 2025-11-21, but reported on 2025-11-20; "
            "usual are that day and the 90 before it",
        )
    ]


def test_the_day_on_which_it_landed_is_that_of_kolkata(bench: Bench) -> None:
    bench.loans("LN-1")
    landed = "2025-11-20 18:31+00:00"  # a minute past midnight there
    facts = {"first_landed_at": landed, "last_landed_at": landed}
    key = bench.payment("LN-1", day=date(2025, 11, 21), **facts)
    bench.post()
    assert bench.states() == {key: "success"}


def test_a_payment_that_was_first_heard_of_as_failed_may_be_dated_after_that(bench: Bench) -> None:
    bench.loans("LN-1")
    key = bench.payment("LN-1", first_landed_at="2025-11-10 10:00+05:30")
    bench.post()
    assert bench.states() == {key: "success"}


def test_a_source_that_reports_late_says_how_many_days_are_usual(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plausibility._DAYS, SOURCE, 120)
    bench.loans("LN-1", "LN-2", "LN-3")
    late = DAY + timedelta(120)
    usual = bench.payment("LN-1", reported=late, sources=[SOURCE])
    other = bench.payment("LN-2", reported=late, sources=["RAW_DMI_NACH_CSV"])
    later = bench.payment("LN-3", reported=late + timedelta(1), sources=[SOURCE])
    bench.post()
    assert bench.states() == {usual: "success", other: "held", later: "held"}
    assert {reason[-2:] for _, reason in holds(bench)} == {"90", "20"}


# ── the amount ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("amount", "state"), [("4999.99", "success"), ("5000.00", "held")])
def test_fifty_times_the_median_of_its_loan_is_held(bench: Bench, amount: str, state: str) -> None:
    paid_before(bench, "90.00", "100.00", "4000.00")
    key = bench.payment("LN-1", amount)
    bench.post()
    assert bench.states()[key] == state


def test_the_median_of_four_is_between_the_two_in_the_middle(bench: Bench) -> None:
    paid_before(bench, "80.00", "90.00", "110.00", "4000.00")
    below, at = bench.payment("LN-1", "4999.99"), bench.payment("LN-1", "5000.00")
    bench.post()
    assert (bench.states()[below], bench.states()[at]) == ("success", "held")


def test_the_hold_says_how_much_is_usual_and_of_what(bench: Bench) -> None:
    paid_before(bench, "6000.00", "6000.00", "6000.00")
    bench.payment("LN-1", "600000.00")
    bench.post()
    assert holds(bench) == [
        (
            "implausible_amount",
            "600000.00 rupees are 100 times what is usual: 6000.00 is the median of "
            "the 3 earlier payments of its loan; paise taken for rupees?",
        )
    ]


def test_its_loan_tells_before_its_source(bench: Bench) -> None:
    of_source(bench, 400, "50000.00")
    paid_before(bench, "100.00", "100.00", "100.00")
    key = bench.payment("LN-1", "50000.00", sources=[SOURCE])
    bench.post()
    assert bench.states()[key] == "held"


def test_with_too_few_payments_of_loan_and_source_nothing_is_implausible(bench: Bench) -> None:
    paid_before(bench, "100.00", "100.00")
    of_source(bench, 17)
    key = bench.payment("LN-1", "900000.00", sources=[SOURCE])
    bench.post()
    assert bench.states()[key] == "success"


def test_twenty_of_its_source_are_enough(bench: Bench) -> None:
    paid_before(bench, "100.00", "100.00")
    of_source(bench, 18)
    bench.post()
    bench.payment("LN-1", "5000.00", sources=[SOURCE])
    bench.post()
    assert holds(bench) == [
        (
            "implausible_amount",
            "5000.00 rupees are 50 times what is usual: 100.00 is the median of "
            f"20 payments of {SOURCE}; paise taken for rupees?",
        )
    ]


@pytest.mark.parametrize(("others", "state"), [(19, "success"), (20, "held")])
def test_twenty_others_of_a_first_file_are_enough(bench: Bench, others: int, state: str) -> None:
    bench.loans("LN-1")
    of_source(bench, others)
    key = bench.payment("LN-1", "5000.00", sources=[SOURCE])
    bench.post()
    assert bench.states()[key] == state


def test_a_whole_file_of_paise_does_not_make_itself_usual(bench: Bench) -> None:
    of_source(bench, 20)
    bench.post()
    bench.loans(*(f"PAISE-{n}" for n in range(60)))
    paise = {bench.payment(f"PAISE-{n}", "10000.00", sources=[SOURCE]) for n in range(60)}
    bench.post()
    assert {bench.states()[key] for key in paise} == {"held"}
    again = bench.payment("PAISE-1", "10000.00", DAY + timedelta(1), sources=[SOURCE])
    bench.post()
    assert bench.states()[again] == "held"


def test_payments_of_other_sources_and_of_long_ago_tell_nothing(bench: Bench) -> None:
    bench.loans("LN-1")
    of_source(bench, 30, day=DAY - timedelta(100))
    for n in range(30):
        bench.payment(f"ELSE-{n}", sources=["RAW_DMI_NACH_CSV"])
    bench.post()
    key = bench.payment("LN-1", "5000.00", sources=[SOURCE])
    bench.post()
    assert bench.states()[key] == "success"


# ── what it costs ───────────────────────────────────────────────────────────────────────────

HISTORY = """
INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender, loan_external_id,
    payment_date, amount, is_success, outcome, refunded_amount, key_rule, observations, sources,
    first_raw_id, last_raw_id, first_landed_at, last_landed_at, batch)
SELECT md5(%(batch)s || '-' || n), 'DMI', 'LN-' || n %% 4000, %(day)s, %(amount)s, true, 'success',
    0, 'new', 1, ARRAY['RAW_DMI_NACH_CSV'], n, n, %(day)s, %(day)s, %(batch)s
FROM generate_series(1, %(payments)s) n
"""


def appear(bench: Bench, payments: int, amount: int, day: date) -> None:
    """That many payments of DMI, on at most four thousand loans."""
    bench.batch += 1
    facts = {"batch": bench.batch, "payments": payments, "amount": amount, "day": day}
    bench.connection.execute(HISTORY, facts)


@pytest.mark.parametrize(("amount", "most"), [(1000, 5), (100_000, 40)])
def test_it_reads_what_is_new_and_of_history_only_the_loans_in_question(
    bench: Bench, amount: int, most: int
) -> None:
    """Where all are as usual a few rows of CORE for each that is new; where all are suspect what
    their loans paid as well. Nowhere a share of the forty thousand."""
    appear(bench, 40_000, 1000, DAY - timedelta(30))
    bench.connection.execute('ANALYZE "CORE"."CORE_TRANSACTION_DATA"')
    bench.connection.execute(
        'UPDATE "CORE"."CORE_WORK_FEED" SET batch = %s',
        (bench.batch,),
    )
    appear(bench, 500, amount, DAY)

    assert rows_read(bench, _refresh(bench.conninfo), "CORE_TRANSACTION_DATA") < 500 * most
    held = bench.one('SELECT count(*) FROM "CORE"."CORE_HOLD"')
    assert held == (500 if amount > 1000 else 0,)
