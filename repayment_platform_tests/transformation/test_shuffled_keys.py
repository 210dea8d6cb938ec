"""Every rule of the keys holds whatever the order of arrival, after a replay, and in a rebuild."""

import random
from typing import Any

import pytest

from repayment_platform_tests.transformation.warehouse import START, Row, Warehouse

NACH, PAYMENT, ARTHMATE = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV", "RAW_ARTHMATE_NACH_CSV"
UGRO_NACH, REPORT = "RAW_UGRO_NACH_CSV", "RAW_UGRO_PAYMENT_RAZORPAY"
Sent = tuple[str, dict[str, Any]]
ARTH: dict[str, Any] = {"loan": "ARTH-LN-1"}
UGRO: dict[str, Any] = {"loan": "UGRO-LN-1"}
ONE_FILE: dict[str, Any] = {"file_id": 1, "landed_at": START}

# What is sent, how many payments it is, how many of them stand, and how many a person must judge.
STORIES: dict[str, tuple[list[Sent], int, int, int]] = {
    "same_ref": (
        [
            (NACH, {"ref": "nach:1"}),
            (NACH, {"ref": "nach:1", "outcome": "pending"}),
            (NACH, {"ref": "nach:1", "on": "2025-11-07", "loan": None}),
        ], 1, 1, 0),
    "same_ref, returned late": (
        [(NACH, {"ref": "nach:1"}), (NACH, {"ref": "nach:1", "outcome": "late_return"})], 1, 0, 0),
    "same_money": (
        [
            (NACH, {"ref": "nach:1", "on": "2025-11-05"}),
            (PAYMENT, {"ref": "dmi:T1", "on": "2025-11-08"}),
            (NACH, {"ref": "nach:2", "on": "2025-11-15"}),
            (PAYMENT, {"ref": "dmi:T2", "on": "2025-11-14"}),
        ], 2, 2, 0),
    "same_money, no references": (
        [(ARTHMATE, ARTH), (NACH, {"on": "2025-11-05"}), (PAYMENT, {"on": "2025-11-07"})], 2, 2, 0),
    "same_money, a return that names no payment": (
        [(ARTHMATE, ARTH), (ARTHMATE, ARTH | {"on": "2025-11-12", "outcome": "late_return"})],
        1, 0, 0),
    "new": ([(NACH, {"loan": f"DMI-APP-{n}"}) for n in range(4)], 4, 4, 0),
    "proven_another, rows of one file": (
        [(NACH, {"ref": f"nach-dmi:{n}"} | ONE_FILE) for n in range(4)], 4, 4, 0),
    "proven_another, issued references": (
        [(REPORT, UGRO | {"ref": f"razorpay:pay_{n}"}) for n in range(4)], 4, 4, 0),
    "same_money, a file sent again": ([(ARTHMATE, ARTH)] * 3, 1, 1, 0),
    "held, equal rows of one file": ([(ARTHMATE, ARTH | ONE_FILE)] * 3, 3, 3, 2),
    "held, other references in other files": (
        [(NACH, {"ref": f"nach-dmi:{n}"}) for n in range(3)], 3, 3, 2),
    "held, sources of no common group": (
        [(UGRO_NACH, UGRO | {"ref": "nach-ugro:1"}), (REPORT, UGRO | {"ref": "razorpay:pay_1"})],
        2, 2, 1),
    "provisional": (
        [(NACH, {"outcome": "pending"}), (NACH, {"loan": None}), (NACH, {"amount": None})],
        0, 0, 0),
}  # fmt: skip


def judged(rows: list[Row]) -> tuple[int, int]:
    payments = [row for row in rows if row["key_rule"] != "provisional"]
    return len(payments), sum(row["is_success"] for row in payments)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("story", STORIES)
def test_a_rule_gives_the_same_payments_in_any_order_and_again_after_a_replay(
    models: Warehouse, story: str, seed: int
) -> None:
    sent, payments, standing, held = STORIES[story]
    rng = random.Random(seed)
    landed = []
    for table, row in rng.sample(sent, len(sent)):
        landed.append((table, row, models.file_row(table, **row)))
        if rng.random() < 0.5:
            models.assign_keys()
    before = models.fold()  # over all keys, as a rebuild does it
    assert (*judged(before), len(models.holds())) == (payments, standing, held)

    for table, row, raw_id in rng.sample(landed, len(landed)):
        again = {name: value for name, value in row.items() if name != "landed_at"}
        models.file_row(table, **again, replaces_id=raw_id)
        if rng.random() < 0.5:
            models.assign_keys()
    after = models.fold()
    assert [row["source_key"] for row in after] == [row["source_key"] for row in before]
    assert (*judged(after), len(models.holds())) == (payments, standing, held)


@pytest.mark.parametrize("seed", range(4))
def test_a_correction_keeps_the_payment_of_its_row_whatever_comes_between(
    models: Warehouse, seed: int
) -> None:
    """The rule `replaces`: a correction cannot arrive before the row that it corrects."""
    rng = random.Random(seed)
    row = models.file_row(ARTHMATE, "ARTH-LN-1", "500.00")
    amounts = rng.sample(["600.00", "700.00", "900.00"], 3)
    for amount in amounts:
        if rng.random() < 0.5:
            models.assign_keys()
        is_other = amount == "900.00"
        models.file_row(ARTHMATE, "ARTH-LN-1", amount, "2025-11-06" if is_other else "2025-11-05",
                        replaces_id=None if is_other else row)  # fmt: skip
    amounts.remove("900.00")
    by_amount = {str(row["amount"]): row["key_rule"] for row in models.fold()}
    assert by_amount == {"900.00": "new", amounts[-1]: "new"}
    assert models.holds() == []
