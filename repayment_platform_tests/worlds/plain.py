"""Stories without a slip: every movement is one repayment, and nobody is asked.

What belongs here: what borrowers and mandates usually do, reported by one source or two, each in
the order of its days. What does not: anything that a source does wrong (`slips`).
"""

from collections.abc import Callable, Iterator

from repayment_platform_tests.worlds.reporting import (
    BANKS,
    CASHFREE,
    LENDERS_FILES,
    MATCH_DAYS,
    bounce,
    captured,
    charged_by_cashfree,
    debit,
    number,
    paid_by_cashfree,
    pay,
    receipt,
    settled,
    shared_utr,
)
from repayment_platform_tests.worlds.truth import Movement, Report, Says, Story, again


def instalments(story: Story, every: int, count: int, start: int | None = None) -> list[Movement]:
    """Equal debits of one mandate, so many days apart."""
    first = start or story.start or story.rng.randint(2, 8)
    rupees = story.rng.choice((1000, 2500, 3500, 5000, 7000))
    return [story.moved(first + every * n, rupees) for n in range(count)]


def daily(story: Story) -> None:
    reported(story, instalments(story, 1, story.rng.randint(4, 7)))


def weekly(story: Story) -> None:
    reported(story, instalments(story, 7, story.rng.randint(3, 5)))


def monthly(story: Story) -> None:
    reported(story, instalments(story, 30, 3))


def reported(story: Story, movements: list[Movement]) -> None:
    """Each by the first source, and by the second if there is one: beside it, or all afterwards."""
    primary = _primary(story)
    if story.lender in LENDERS_FILES:
        two_sources(story, movements)
        return
    for movement in movements:
        report = primary(story, movement, movement.day + 1)
        if (
            story.lender in CASHFREE
            and report.table == CASHFREE[story.lender]
            and story.rng.random() < 0.5
        ):
            settled(story, report, movement.day + 2)


def _primary(story: Story) -> Callable[..., Report]:
    """By which source the loan pays: one for all its payments."""
    ways: dict[str, tuple[Callable[..., Report], ...]] = {
        "UGRO": (captured, paid_by_cashfree, debit),
        "GB": (paid_by_cashfree, paid_by_cashfree, charged_by_cashfree, debit),
    }
    return story.rng.choice(ways.get(story.lender, (pay,)))


def two_sources(story: Story, movements: list[Movement], lag: int | None = None) -> None:
    """Bank or gateway and the lender's file, whose days may be a little later."""
    lag = story.rng.choice((0, 0, 1)) if lag is None else lag
    order = story.order or story.rng.choice(("beside", "after", "before", "alone"))
    last = movements[-1].day + 2
    for movement in movements:
        movement.days.add(movement.day + lag)
        one, other = movement.day + 1, movement.day + 1 + lag
        match order:
            case "after":
                other = last
            case "before":
                one, other = last + 1, max(other, movement.day + lag)
        turn = 1 if order == "beside" and story.rng.random() < 0.5 else 0
        pay(story, movement, one, turn=turn)
        if order != "alone":
            receipt(story, movement, other, day=movement.day + lag)


def bounced_then_paid(story: Story) -> None:
    """A presentation bounces, the next one is paid.

    Further apart than two sources may date one debit: within those days the lender's "paid", if it
    comes before the bank's, contradicts the bounce.
    """
    tried, *paid = instalments(story, MATCH_DAYS.get(story.lender, 2) + 1, 2)
    story.movements.remove(tried)
    bounce(story, tried, tried.day + 1)
    reported(story, paid)


def part_payments(story: Story) -> None:
    """An instalment and a charge of one mandate on one day."""
    day = story.start or story.rng.randint(2, 20)
    both = [story.moved(day, 7000), story.moved(day, 590)]
    utr = shared_utr(story, BANKS[story.lender])
    for movement in both:
        debit(story, movement, day + 1, utr=utr)
    if story.lender in ("DMI", "SHIVALIK"):
        for movement in both:
            receipt(story, movement, day + 2)


def equal_on_one_day(story: Story) -> None:
    """Two debits of one amount and day, each with a reference of its own, paid out together."""
    day = story.start or story.rng.randint(2, 20)
    both = [story.moved(day, 2500), story.moved(day, 2500)]
    utr = shared_utr(story, BANKS[story.lender])
    for movement in both:
        debit(story, movement, day + 1, utr=utr)
    if story.lender == "DMI":
        for movement in both:
            receipt(story, movement, day + 2)


def parts_of_an_instalment(story: Story) -> None:
    """One instalment in two payments, days apart."""
    day = story.start or story.rng.randint(2, 20)
    reported(story, [story.moved(day, 3500), story.moved(day + 2, 1000)])


def several_events(story: Story) -> None:
    """A payment that failed at first, and of which a gateway sends several events."""
    movement = story.moved(story.rng.randint(2, 20))
    at = movement.day
    if story.lender == "GB" or (story.lender == "UGRO" and story.rng.random() < 0.5):
        ref = number(story)
        paid_by_cashfree(
            story, movement, at, ref=number(story), name="PAYMENT_FAILED_WEBHOOK", says=Says.FAILED
        )
        paid = paid_by_cashfree(story, movement, at, ref=ref, turn=1)
        settled(story, paid, at + 2)
        return
    paid = captured(story, movement, at, turn=1)
    again(paid, at, name="order.paid", turn=story.rng.choice((0, 2)))
    again(paid, at, name="payment.failed", says=Says.FAILED, turn=0)


def two_gateways(story: Story) -> None:
    """A payment through each gateway, of one amount and day."""
    day = story.start or story.rng.randint(2, 20)
    captured(story, story.moved(day, 2500), day)
    paid_by_cashfree(story, story.moved(day, 2500), day + story.rng.choice((0, 1)))


def first(story: Story) -> None:
    """What is paid before all else: so two loans at least bear the UTR of each payout."""
    movement = story.moved(1)
    if story.lender in BANKS:
        debit(story, movement, 1, utr=shared_utr(story, BANKS[story.lender]))
    else:
        pay(story, movement, 1)
    if story.lender in LENDERS_FILES:
        receipt(story, movement, 1, turn=1, utr=shared_utr(story, LENDERS_FILES[story.lender]))
    if story.lender in CASHFREE:
        settled(story, paid_by_cashfree(story, story.moved(1, 590), 1), 1, turn=1)


def stories_of(lender: str) -> Iterator[Callable[[Story], None]]:
    """What may happen without a slip with the lender's sources."""
    yield from (daily, weekly, monthly, parts_of_an_instalment)
    if lender in BANKS:
        yield from (bounced_then_paid, part_payments)
    if lender in BANKS and lender != "ARTHMATE":
        yield equal_on_one_day
    if lender in ("GB", "UGRO", "VIVRITI"):
        yield several_events
    if lender == "UGRO":
        yield two_gateways
