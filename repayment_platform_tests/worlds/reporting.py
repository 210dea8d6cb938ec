"""How each kind of source reports a movement: the facts that it states, and its ids.

What belongs here: one function for each kind of report. What does not: headers and cells (`files`),
the JSON of events (`events`), what happens to a movement (`plain`, `slips`).
"""

from decimal import Decimal
from typing import Any

from repayment_platform_tests.worlds.truth import Movement, Report, Says, Story, add, again

BANKS = {
    "ARTHMATE": "RAW_ARTHMATE_NACH_CSV",
    "IKF": "RAW_IKF_NACH_CSV",
    "DMI": "RAW_DMI_NACH_CSV",
    "SHIVALIK": "RAW_SHIVALIK_NACH_CSV",
    "UGRO": "RAW_UGRO_NACH_CSV",
    "GB": "RAW_GB_NACH_CSV",
}
LENDERS_FILES = {
    "DMI": "RAW_DMI_PAYMENT_CSV",
    "SHIVALIK": "RAW_SHIVALIK_PAYMENT_CSV",
    "VIVRITI": "RAW_VIVRITI_PAYMENT_CSV",
}
RAZORPAY = {"UGRO": "RAW_UGRO_RAZORPAY_API", "VIVRITI": "RAW_VIVRITI_RAZORPAY_API"}
CASHFREE = {"UGRO": "RAW_UGRO_CASHFREE_API", "GB": "RAW_GB_CASHFREE_API"}
SETTLEMENTS = {"UGRO": "RAW_UGRO_PAYMENT_CASHFREE", "GB": "RAW_GB_PAYMENT_CASHFREE"}
MATCH_DAYS = {"DMI": 3, "SHIVALIK": 3, "VIVRITI": 2}
HALF_RUPEE = Decimal("0.50")
RECON = ("GB", "UGRO", "VIVRITI")


def shared_utr(story: Story, table: str) -> str:
    """That of a payout, which rows of several loans of the world bear."""
    return f"POOL{story.prefix}{sum(map(ord, table)) % 1000:03}"


def debit(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """A row of the bank: presented the day before it settled; a UTR of its own or the payout's."""
    table = BANKS[story.lender]
    utr = story.id("ICIC") if story.rng.random() < 0.5 else shared_utr(story, table)
    facts = {
        "presented": movement.day - 1,
        "umrn": story.umrn,
        "utr": utr,
        "mode": "NACH",
        "ref": _reference(story),
    }
    return add(story, table, movement, at, **facts | stated)


def _reference(story: Story) -> str | None:
    if story.lender == "ARTHMATE":
        return None
    return number(story) if story.digits else story.id("NPT")


def bounce(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """The bank's word that a presentation was not paid."""
    return debit(story, movement, at, **{"says": Says.BOUNCED, "utr": None} | stated)


def receipt(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """A row of the lender's own file, under an id and a UTR of the lender's."""
    table = LENDERS_FILES[story.lender]
    utr = story.id("AXIS") if story.rng.random() < 0.5 else shared_utr(story, table)
    facts: dict[str, Any] = {"utr": utr}
    if story.lender == "DMI":
        named = story.rng.random() < 0.5
        facts |= {"ref": story.id("T"), "umrn": story.umrn if named else None, "mode": "NACH"}
    elif story.lender == "SHIVALIK":
        facts |= {"mode": story.rng.choice(("NACH", None))}
    else:
        facts |= {"mode": "UPI"}
    return add(story, table, movement, at, **facts | stated)


def captured(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """Razorpay's event of a payment; `ref` is what follows `pay_`."""
    facts = {
        "name": "payment.captured",
        "ref": story.id("Rz"),
        "utr": story.id("5301"),
        "mode": "upi",
    }
    return add(story, RAZORPAY[story.lender], movement, at, **facts | stated)


def paid_by_cashfree(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """Cashfree's event of a payment; `ref` is its `cf_payment_id`."""
    facts = {"name": "PAYMENT_SUCCESS_WEBHOOK", "ref": number(story), "mode": "upi"}
    return add(story, CASHFREE[story.lender], movement, at, **facts | stated)


def charged_by_cashfree(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """Cashfree's event of an instalment under a mandate."""
    facts = {"name": "SUBSCRIPTION_PAYMENT_SUCCESS", "umrn": story.umrn, "mode": "enach"}
    return paid_by_cashfree(story, movement, at, **facts | stated)


def settled(story: Story, paid: Report, at: int, **stated: Any) -> Report:
    """The line of Cashfree's settlement report about a payment of an event."""
    table = SETTLEMENTS[story.lender]
    facts = {"loan": paid.movement.loan, "amount": paid.amount, "day": paid.day, "ref": paid.ref}
    facts |= {"utr": shared_utr(story, table), "mode": "UPI"}
    return add(story, table, paid.movement, at, **facts | {"more": {**paid.more}} | stated)


def number(story: Story) -> str:
    """An id of digits."""
    return f"5{int(story.prefix):08}{story.number:02}{story.rng.randrange(10**4):04}"


def pay(story: Story, movement: Movement, at: int, **stated: Any) -> Report:
    """The first report of a movement by the source that the lender lives by."""
    match story.lender:
        case "VIVRITI":
            return captured(story, movement, at, **stated)
        case "GB":
            return paid_by_cashfree(story, movement, at, **stated)
        case "UGRO":
            return captured(story, movement, at, **stated)
        case _:
            return debit(story, movement, at, **stated)


def give_back(report: Report, at: int, rupees: Decimal | None = None, **changes: Any) -> Report:
    """The source's word that it was taken back; this is true."""
    told = again(report, at, **{"says": Says.RETURNED, "utr": None} | changes)
    report.movement.back.append((told, rupees or report.movement.amount))
    return told
