"""Slips at gateways and of loans: refunds, disputes, currencies, loans that nobody or two name."""

from decimal import Decimal

from repayment_platform_tests.worlds.reporting import (
    captured,
    debit,
    paid_by_cashfree,
    pay,
    receipt,
    settled,
)
from repayment_platform_tests.worlds.truth import Report, Says, Story, again

NAME_LOAN = "name the loan"


def _posted(story: Story) -> Report:
    """A payment in the first step, by one of the lender's gateways."""
    movement = story.moved(story.rng.randint(2, 8))
    if story.lender == "UGRO" and story.rng.random() < 0.5:
        return paid_by_cashfree(story, movement, movement.day)
    return pay(story, movement, movement.day)


def _refund(
    paid: Report, at: int, rupees: Decimal, number: int = 1, *, failed: bool = False
) -> Report:
    """The gateway's event of a refund; Razorpay's says how much was refunded so far."""
    if "RAZORPAY" in paid.table:
        so_far = sum((r for _, r in paid.movement.back), Decimal(0)) + rupees
        more = {} if failed else {"amount_refunded": int(so_far * 100)}
        name = "refund.failed" if failed else "refund.processed"
        says = Says.NOTHING if failed else Says.REFUNDED
        told = again(paid, at, name=name, says=says, more=paid.more | more)
    else:
        about = {"refund_id": f"r{paid.ref}{number}", "cf_refund_id": f"{paid.ref}{number}"}
        about |= {"refund_status": "FAILED" if failed else "SUCCESS"}
        more = paid.more | {"refund": about, "rupees": rupees}
        says = Says.NOTHING if failed else Says.REFUNDED
        told = again(paid, at, name="REFUND_STATUS_WEBHOOK", says=says, more=more)
    if not failed:
        paid.movement.back.append((told, rupees))
    return told


def refund_whole(story: Story) -> None:
    paid = _posted(story)
    told = _refund(paid, story.rng.choice((12, 25)), paid.amount)
    story.must_ask(paid.movement, paid, told)


def refund_before_posting(story: Story) -> None:
    paid = _posted(story)
    told = _refund(paid, 9, paid.amount)
    story.must_ask(paid.movement, paid, told)


def refund_partial(story: Story) -> None:
    paid = _posted(story)
    told = _refund(paid, story.rng.choice((9, 12)), Decimal(400))
    story.must_ask(paid.movement, paid, told)


def refunds_to_whole(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    paid = paid_by_cashfree(story, movement, movement.day)
    first = _refund(paid, 12, Decimal(400), 1)
    second = _refund(paid, 22, movement.amount - 400, 2)
    story.may_ask(movement, paid, first)
    story.must_ask(movement, paid, second)


def refund_failed(story: Story) -> None:
    paid = _posted(story)
    _refund(paid, story.rng.choice((9, 12)), paid.amount, failed=True)


def refund_in_file(story: Story) -> None:
    paid = _posted(story)
    receipt(story, paid.movement, 9)
    told = receipt(story, paid.movement, 12, says=Says.REFUNDED, day=10)
    paid.movement.back.append((told, paid.amount))
    story.must_ask(paid.movement, paid, told)


def _dispute(story: Story, paid: Report, at: int, *, lost: bool) -> Report:
    says = Says.RETURNED if lost else Says.NOTHING
    if "RAZORPAY" in paid.table:
        name = f"payment.dispute.{'lost' if lost else 'created'}"
        return again(paid, at, name=name, says=says)
    status = "DISPUTE_MERCHANT_LOST" if lost else "DISPUTE_CREATED"
    name = "DISPUTE_CLOSED" if lost else "DISPUTE_CREATED"
    return again(paid, at, name=name, says=says, more=paid.more | {"dispute": status})


def dispute_lost(story: Story) -> None:
    paid = _posted(story)
    told = _dispute(story, paid, story.rng.choice((12, 25)), lost=True)
    paid.movement.back.append((told, paid.amount))
    story.must_ask(paid.movement, paid, told)


def dispute_open(story: Story) -> None:
    paid = _posted(story)
    told = _dispute(story, paid, story.rng.choice((9, 12)), lost=False)
    story.must_ask(paid.movement, paid, told)


def two_loans_in_a_cell(story: Story) -> None:
    pair = [story.loan, story.another_loan()]
    movement = story.moved(story.rng.randint(2, 8), loan=story.rng.choice(pair))
    report = receipt if story.lender == "DMI" else debit
    told = report(story, movement, movement.day + 1, loan="/".join(pair))
    story.must_ask(movement, told)
    story.acts.append((0, NAME_LOAN, (movement, movement.loan)))


def loan_unknown(story: Story) -> None:
    paid = _posted(story)
    paid.loan = None
    story.must_ask(paid.movement, paid)
    story.acts.append((0, NAME_LOAN, (paid.movement, paid.movement.loan)))


def loan_named_wrongly(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    paid = paid_by_cashfree(story, movement, movement.day, loan=None)
    story.must_ask(movement, paid)
    story.acts.append((0, NAME_LOAN, (movement, story.another_loan())))
    told = settled(story, paid, 25)
    story.must_ask(movement, paid, told)


def loan_named_beside(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    paid = paid_by_cashfree(story, movement, movement.day, loan=None)
    story.may_ask(movement, paid)
    story.acts.append((0, NAME_LOAN, (movement, movement.loan)))
    settled(story, paid, 25)


def loan_corrected_at_gateway(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    paid = paid_by_cashfree(story, movement, movement.day, loan=story.another_loan())
    told = settled(story, paid, 12)
    story.must_ask(movement, paid, told)


def loanless_then_corrected(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    row = debit(story, movement, movement.day + 1, loan=None)
    story.may_ask(movement, row)
    again(row, 12, loan=movement.loan)


def other_currency(story: Story) -> None:
    movement = story.moved(story.rng.randint(2, 8))
    report = paid_by_cashfree if story.lender == "GB" else captured
    told = report(story, movement, movement.day, more={"currency": "USD"})
    movement.back.append((told, movement.amount))
    story.must_ask(movement, told)
