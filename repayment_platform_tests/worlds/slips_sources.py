"""Slips between sources: other amounts, days, modes, splits, and what one gateway says twice."""

from repayment_platform_tests.worlds import plain
from repayment_platform_tests.worlds.reporting import (
    BANKS,
    CASHFREE,
    HALF_RUPEE,
    MATCH_DAYS,
    bounce,
    captured,
    charged_by_cashfree,
    debit,
    number,
    paid_by_cashfree,
    pay,
    receipt,
    shared_utr,
)
from repayment_platform_tests.worlds.truth import Report, Story


def _days(story: Story) -> tuple[int, int]:
    """On which days the two sources report: in one step or in two, either first."""
    one, other = story.rng.choice(((10, 11), (11, 10), (10, 21), (21, 10)))
    return one, other


def _conflict(story: Story, *reports: Report) -> None:
    story.must_ask(reports[0].movement, *reports)


def sources_other_amount(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    one, other = _days(story)
    row = debit(story, movement, one)
    more = movement.amount + HALF_RUPEE
    told = receipt(story, movement, other, amount=more, umrn=None, mode="NACH")
    _conflict(story, row, told)


def sources_other_amount_one_utr(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    one, other = _days(story)
    utr = story.id("ICIC")
    row = pay(story, movement, one, utr=utr)
    told = receipt(story, movement, other, amount=movement.amount + HALF_RUPEE, utr=utr)
    _conflict(story, row, told)


def sources_split(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8), 5000)
    utr = story.id("ICIC")
    row = pay(story, movement, 10, utr=utr)
    at = story.rng.choice((11, 21))
    umrn = story.umrn if story.lender == "DMI" else None
    parts = [receipt(story, movement, at, amount=part, utr=utr, umrn=umrn) for part in (4500, 500)]
    _conflict(story, row, *parts)


def sources_far_one_utr(story: Story) -> None:
    movement = story.moved(story.rng.randint(7, 9))
    utr, presented = story.id("ICIC"), movement.day - 6
    movement.days.add(presented)
    one, other = _days(story)
    debit(story, movement, one, presented=presented, utr=utr)
    receipt(story, movement, other, day=presented, utr=utr, mode="NACH")


def sources_six_days_one_utr(story: Story) -> None:
    movement = story.moved(story.rng.randint(7, 9))
    utr = story.id("ICIC")
    movement.days.add(movement.day - 6)
    one, other = _days(story)
    row = debit(story, movement, one, presented=movement.day, utr=utr)
    told = receipt(story, movement, other, day=movement.day - 6, utr=utr)
    story.may_ask(movement, row, told)


def sources_days_apart(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 6))
    day = movement.day + MATCH_DAYS[story.lender]
    movement.days.add(day)
    one, other = _days(story)
    stated = {} if story.lender == "VIVRITI" else {"presented": movement.day}
    pay(story, movement, one, **stated)
    receipt(story, movement, other, day=day)


def other_rail(story: Story) -> None:
    day = story.rng.randint(3, 6)
    by_upi, by_mandate = story.moved(day, 3500), story.moved(day + story.rng.choice((0, 2)), 3500)
    one, other = _days(story)
    receipt(story, by_upi, one, umrn=None, mode="UPI", utr=story.id("UPI"))
    debit(story, by_mandate, other, utr=story.id("ICIC"))


def other_modes(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 6))
    movement.days.add(movement.day + 1)
    one, other = _days(story)
    captured(story, movement, one)
    receipt(story, movement, other, day=movement.day + 1, mode="NEFT")


def bank_bounced_lender_paid(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 6))
    one, other = _days(story)
    no = bounce(story, movement, one, presented=movement.day)
    umrn = story.umrn if story.lender == "DMI" else None
    yes = receipt(story, movement, other, umrn=umrn, mode="NACH")
    _conflict(story, no, yes)
    if story.rng.random() < 0.5:
        movement.back.append((no, movement.amount))
    else:
        debit(story, movement, 41, presented=movement.day)


def lender_rows_equal(story: Story) -> None:
    day = story.rng.randint(2, 8)
    both = (story.moved(day, 2500), story.moved(day, 2500))
    utr = shared_utr(story, BANKS[story.lender])
    rows = [debit(story, movement, 10, utr=utr) for movement in both]
    told = [receipt(story, movement, 11, mode="NACH", utr=utr) for movement in both]
    story.must_ask_one(both, *rows, *told)


def equal_rows(story: Story) -> None:
    day = story.rng.randint(2, 8)
    both = (story.moved(day, 2500), story.moved(day, 2500))
    utr = story.id("ICIC")
    rows = [debit(story, movement, 10, utr=utr) for movement in both]
    story.must_ask_one(both, *rows)


def mandate_at_gateway_and_bank(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 6))
    movement.days.add(movement.day + 2)
    one, other = _days(story)
    event = charged_by_cashfree(story, movement, one)
    row = debit(story, movement, other, day=movement.day + 2, presented=movement.day + 1)
    _conflict(story, event, row)


def mandate_event_without_umrn(story: Story) -> None:
    """Nothing but loan, amount and a day nearby links the two."""
    movement = story.moved(story.rng.randint(2, 6))
    movement.days.add(movement.day + 2)
    one, other = _days(story)
    event = charged_by_cashfree(story, movement, one, umrn=None)
    row = debit(story, movement, other, day=movement.day + 2, presented=movement.day + 1)
    _conflict(story, event, row)


def late_report_out_of_order(story: Story) -> None:
    """The lender's row names a day nine later, in a loan whose bank has reported out of order."""
    before, movement = story.moved(2, 1000), story.moved(story.rng.randint(4, 6), 5000)
    row = debit(story, movement, 8)
    debit(story, before, 9)
    told = receipt(story, movement, story.rng.choice((16, 21)), day=movement.day + 9, umrn=None)
    _conflict(story, row, told)


def order_paid_twice(story: Story) -> None:
    day, order = story.rng.randint(2, 8), f"CFPay_{story.id()}"
    both = (story.moved(day, 2500), story.moved(day, 2500))
    told = [
        paid_by_cashfree(story, movement, at, more={"order": order})
        for movement, at in zip(both, (day, day + story.rng.choice((1, 10))), strict=True)
    ]
    story.must_ask_one(both, *told)


def two_gateways_equal(story: Story) -> None:
    plain.two_gateways(story)


def link_and_payment(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 6))
    late = {"order": f"CFPay_{story.id()}", "clock": (23, 59, 50)}
    turn = story.rng.choice((0, 2))
    paid_by_cashfree(story, movement, movement.day + 1, loan=None, turn=1, more=late)
    paid_by_cashfree(story, movement, movement.day + 1, name="PAYMENT_LINK_EVENT", turn=turn,
                     ref=number(story), more=late | {"told_after": 1})  # fmt: skip


def registration(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 6), 0)
    if story.lender in CASHFREE:
        paid_by_cashfree(story, movement, movement.day, amount=1, name="SUBSCRIPTION_AUTH_STATUS",
                         umrn=story.umrn, mode="enach")  # fmt: skip
    else:
        debit(story, movement, movement.day + 1)


def daily_shuffled(story: Story) -> None:
    story.is_shuffled = True
    movements = plain.instalments(story, 1, 7)
    stated = {day + later for movement in movements for day in movement.days for later in (0, 1)}
    days = list(range(12, 26))
    story.rng.shuffle(days)
    for movement in movements:
        movement.days |= stated
        one, other = days.pop(), days.pop()
        debit(story, movement, one)
        story.may_ask(movement, receipt(story, movement, other))
