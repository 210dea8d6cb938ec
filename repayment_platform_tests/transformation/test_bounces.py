"""A bounce takes back the payment that its source had reported; one after it is asked about."""

import pytest

from repayment_platform_tests.transformation.walking import BANK, LENDER, Walk, day, models, walk
from repayment_platform_tests.transformation.warehouse import Row

__all__ = ["models", "walk"]
ARTHMATE = "RAW_ARTHMATE_NACH_CSV"
ARTH = {"loan": "ARTH-LN-1", "utr": "IC1", "presentation_date": day(5)}
P1 = {"ref": "nach-dmi:P1", "umrn": "U1"}
TAKEN_BACK, ASKED = (0, 0), (0, 1)


def outcomes(walk: Walk) -> list[str]:
    return [row["outcome"] for row in walk.models.core()]


@pytest.mark.parametrize("on", [5, 9, 13, 29])
def test_a_bounce_finds_its_payment_by_reference_loan_and_amount_whatever_the_day(
    walk: Walk, on: int
) -> None:
    walk.file(BANK, P1 | {"on": day(5)})
    walk.file(BANK, P1 | {"on": day(on), "outcome": "return"})
    assert walk.became() == TAKEN_BACK
    assert outcomes(walk) == ["late_return"]


@pytest.mark.parametrize("other", [{"loan": "DMI-APP-2"}, {"amount": "5000.01"}, {"on": day(-2)}])
def test_a_bounce_of_another_loan_or_amount_or_of_a_week_before_is_of_no_payment(
    walk: Walk, other: Row
) -> None:
    walk.file(BANK, P1 | {"on": day(5)})
    walk.file(BANK, P1 | {"on": day(6), "outcome": "return"} | other)
    assert walk.became() == (1, 0)


def test_of_two_payments_of_one_reference_it_takes_back_the_one_near_in_time(walk: Walk) -> None:
    walk.file(BANK, P1 | {"on": day(-25)})
    walk.file(BANK, P1 | {"on": day(5)})
    walk.file(BANK, P1 | {"on": day(6), "outcome": "return"})
    assert walk.became() == (1, 1)
    back = [row["payment_date"] for row in walk.models.core() if row["outcome"] == "late_return"]
    assert [each.isoformat() for each in back] == [day(5)]


@pytest.mark.parametrize("outcome", ["return", "reject", "failed", "late_return"])
def test_a_success_after_what_took_the_first_one_back_is_asked_about(
    walk: Walk, outcome: str
) -> None:
    walk.file(BANK, P1 | {"on": day(5)})
    walk.file(BANK, P1 | {"on": day(6), "outcome": outcome})
    walk.file(BANK, P1 | {"on": day(8)})
    assert walk.became() == ASKED
    assert sorted(outcomes(walk)) == ["late_return", "success"]


def test_what_the_lender_reports_after_the_bank_took_it_back_is_asked_about(walk: Walk) -> None:
    walk.file(BANK, P1 | {"on": day(5)})
    walk.file(BANK, P1 | {"on": day(6), "outcome": "return"})
    walk.file(LENDER, {"on": day(7), "ref": "dmi:T1"})
    assert walk.became() == ASKED


@pytest.mark.parametrize("outcome", ["return", "late_return"])
@pytest.mark.parametrize("on", [5, 6])
def test_the_first_file_landed_once_more_makes_it_no_success_again(
    walk: Walk, outcome: str, on: int
) -> None:
    for row in ({"on": day(5)}, {"on": day(on), "outcome": outcome}, {"on": day(5)}):
        walk.file(ARTHMATE, ARTH | row)
    assert walk.became() == TAKEN_BACK
    assert outcomes(walk) == ["late_return"]


def test_a_row_landed_again_by_a_replay_makes_it_no_success_again(walk: Walk) -> None:
    [row] = walk.file(BANK, P1 | {"on": day(5)})
    walk.file(BANK, P1 | {"on": day(5), "outcome": "return"})
    walk.file(BANK, P1 | {"on": day(5)}, replaces_id=row)
    assert walk.became() == TAKEN_BACK
    assert outcomes(walk) == ["late_return"]


def test_a_bounce_that_may_be_of_two_payments_is_told(walk: Walk) -> None:
    walk.file(ARTHMATE, *[ARTH | {"on": day(5)}] * 2)
    walk.file(ARTHMATE, ARTH | {"on": day(5), "outcome": "return"})
    assert walk.became() == (1, 1)
    because = 'SELECT because FROM "CORE"."CORE_PAYMENT_KEY" WHERE outcome = \'return\''
    [told] = walk.models.rows(because)
    assert told["because"].startswith("it may take back ")
