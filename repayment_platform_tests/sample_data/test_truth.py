"""Comparing a ledger with the truth: right ones pass, each kind of difference is named."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from repayment_platform.sample_data.truth import compare

Row = dict[str, Any]
TWO_DATES = {"dates": ["2026-11-10", "2026-11-12"], "key_dates": ["2026-11-10", "2026-11-12"]}
MADE_GOOD = {"dates": ["2026-11-12"], "key_dates": ["2026-11-10", "2026-11-12"]}


def key(loan: str, date: str, amount: str, n: int = 0) -> str:
    text = f"DMI{loan}{date}{amount}" + (f"#{n}" if n else "")
    return hashlib.md5(text.encode()).hexdigest()


def payment(loan: str = "DMI-APP-1", amount: str = "500.50", **changes: Any) -> Row:
    return {
        "lender": "DMI",
        "loan": loan,
        "date": "2026-11-10",
        "amount": amount,
        "posting": "automated",
        "state": "success",
    } | changes


def row(
    loan: str = "DMI-APP-1", amount: str = "500.50", date: str = "2026-11-10", n: int = 0
) -> Row:
    return {
        "externalId": key(loan, date, amount, n),
        "loanExternalId": loan,
        "date": date,
        "amount": amount,
        "reversed": False,
    }


def truth_of(*payments: Row) -> Mapping[str, Any]:
    return {"payments": list(payments)}


def test_a_ledger_with_every_payment_once_is_right() -> None:
    told = truth_of(payment(), payment("DMI-APP-2", "99.00"))
    assert compare(told, [row("DMI-APP-2", "99.00"), row()]) == []


def test_only_successes_of_automated_lenders_are_expected() -> None:
    others = ("failed", "held", "recon", "no_loan", "not_a_payment")
    told = truth_of(
        payment(),
        *(payment(f"L{n}", state=state) for n, state in enumerate(others)),
        payment("VIV-LN-1", posting="recon", state="recon"),
    )
    assert compare(told, [row()]) == []


def test_a_missing_payment_is_named() -> None:
    assert compare(truth_of(payment()), []) == [
        "DMI-APP-1: ₹500.50 of 2026-11-10 is not in the ledger"
    ]


@pytest.mark.parametrize("state", ["held", "failed", "no_loan", "not_a_payment"])
def test_a_row_that_must_not_be_there_is_named(state: str) -> None:
    [difference] = compare(truth_of(payment(state=state)), [row()])
    assert "is in the ledger, and must not be" in difference


def test_a_payment_posted_twice_under_two_keys_is_named() -> None:
    [difference] = compare(truth_of(payment()), [row(), row(n=1)])
    assert "more often than the 1 expected" in difference


def test_a_key_that_occurs_twice_is_named() -> None:
    told = truth_of(payment(), payment())
    assert any("2 times" in difference for difference in compare(told, [row(), row()]))


@pytest.mark.parametrize(
    "wrong",
    [{"amount": "500.51"}, {"date": "2026-11-11"}, {"loanExternalId": "DMI-APP-9"}],
    ids=["amount", "date", "loan"],
)
def test_a_wrong_fact_is_one_row_too_many_and_one_too_few(wrong: Row) -> None:
    differences = compare(truth_of(payment()), [row() | wrong])
    assert sorted("must not be" in text or "not in the ledger" in text for text in differences) == [
        True,
        True,
    ]


def test_a_row_under_a_key_of_another_payment_is_named() -> None:
    [difference] = compare(
        truth_of(payment()), [row() | {"externalId": key("X", "2026-11-10", "1")}]
    )
    assert "not one of its own" in difference


def test_a_second_key_needs_a_second_equal_payment() -> None:
    assert compare(truth_of(payment(), payment()), [row(n=1), row()]) == []
    [difference] = compare(truth_of(payment()), [row(n=1)])
    assert "not one of its own" in difference


@pytest.mark.parametrize("date", ["2026-11-10", "2026-11-12"])
def test_money_that_two_sources_date_differently_may_have_either_date(date: str) -> None:
    told = truth_of(payment(**TWO_DATES))
    assert compare(told, [row(date=date)]) == []
    other = row(date="2026-11-10")["externalId"]
    assert compare(told, [row(date=date) | {"externalId": other}]) == []
    assert len(compare(told, [row(date="2026-11-11")])) == 2


def test_a_debit_made_good_later_must_have_the_later_date() -> None:
    told = truth_of(payment(date="2026-11-12", **MADE_GOOD))
    assert compare(told, [row(date="2026-11-12")]) == []
    assert len(compare(told, [row(date="2026-11-10")])) == 2


def test_a_reversed_row_counts_for_nothing() -> None:
    told = truth_of(payment())
    undone = row(n=1) | {"reversed": True}
    assert compare(told, [row(), undone]) == []
    assert compare(told, [row() | {"reversed": True}]) != []


def test_the_samples_own_truth_needs_no_more_and_no_less(told: Mapping[str, Any]) -> None:
    seen: dict[tuple[str, str, str], int] = {}
    ledger = []
    for entry in told["payments"]:
        if entry["state"] == "success":
            facts = entry["loan"], entry["date"], entry["amount"]
            n = seen[facts] = seen.get(facts, -1) + 1
            text = "".join((entry["lender"], *facts)) + (f"#{n}" if n else "")
            ledger.append(
                row(entry["loan"], entry["amount"], entry["date"])
                | {"externalId": hashlib.md5(text.encode()).hexdigest()}
            )
    assert compare(told, ledger) == []
    changed = deepcopy(ledger)
    changed.pop()
    assert len(compare(told, changed)) == 1
