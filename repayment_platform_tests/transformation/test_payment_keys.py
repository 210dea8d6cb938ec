"""The rules by which an observation gets the key of its payment."""

from datetime import date
from decimal import Decimal

import pytest

from repayment_platform.sources.keys import source_key
from repayment_platform_tests.transformation.warehouse import START, Warehouse

ARTHMATE, IKF = "RAW_ARTHMATE_NACH_CSV", "RAW_IKF_NACH_CSV"
NACH, PAYMENT = "RAW_DMI_NACH_CSV", "RAW_DMI_PAYMENT_CSV"
API, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
FORMULA = source_key("DMI", "DMI-APP-1", date(2025, 11, 5), Decimal("1000.00"))


def next_key(n: int) -> str:
    return source_key("DMI", "DMI-APP-1", date(2025, 11, 5), Decimal("1000.00"), n)


def test_a_new_payment_gets_the_formula_key(models: Warehouse) -> None:
    row = models.file_row(NACH, ref="nach:1")
    assert models.assign_keys() == 1
    assert models.keys()[row]["source_key"] == FORMULA
    assert models.rules() == ["new"]


def test_an_issued_reference_keeps_its_key_whatever_amount_and_day_it_comes_with(
    models: Warehouse,
) -> None:
    first = models.file_row(REPORT, "UGRO-LN-1", ref="razorpay:pay_1")
    models.assign_keys()
    again = models.file_row(REPORT, "UGRO-LN-1", "9.99", "2025-12-01", ref="razorpay:pay_1")
    models.assign_keys()
    assert models.keys()[again]["source_key"] == models.keys()[first]["source_key"]
    assert models.rules() == ["new", "same_ref"]


def test_an_issued_reference_with_another_loan_is_asked_about(models: Warehouse) -> None:
    models.file_row(REPORT, "UGRO-LN-1", ref="razorpay:pay_1")
    models.file_row(REPORT, "UGRO-LN-2", ref="razorpay:pay_1")
    models.assign_keys()
    assert models.rules() == ["new", "held"]
    assert {hold["reason_code"] for hold in models.holds()} == {
        "possible_duplicate",
        "another_loan",
    }


def test_a_reported_reference_of_another_day_and_amount_on_another_loan_is_another_payment(
    models: Warehouse,
) -> None:
    models.file_row(NACH, ref="nach-dmi:1")
    models.file_row(NACH, "DMI-APP-2", "9.99", "2025-12-01", ref="nach-dmi:1")
    models.assign_keys()
    assert models.rules() == ["new", "new"]
    assert models.holds() == []


@pytest.mark.parametrize("other", [{"loan": "DMI-APP-2"}, {"on": "2025-12-05"}, {"amount": "5.00"}])
def test_a_reported_reference_used_again_is_asked_about(
    models: Warehouse, other: dict[str, str]
) -> None:
    models.file_row(NACH, ref="nach-dmi:1")
    models.file_row(NACH, **other, ref="nach-dmi:1")  # type: ignore[arg-type]
    models.assign_keys()
    assert models.rules() == ["new", "held"]


def test_reports_of_one_reference_that_arrive_together_share_a_key(models: Warehouse) -> None:
    for _ in range(3):
        models.file_row(NACH, ref="nach-dmi:1")
    models.assign_keys()
    assert {key["source_key"] for key in models.keys().values()} == {FORMULA}


def test_a_payment_reported_by_two_sources_of_a_group_is_one(models: Warehouse) -> None:
    models.file_row(NACH, ref="nach:1", on="2025-11-05")
    models.file_row(PAYMENT, ref="dmi:T1", on="2025-11-08")
    models.assign_keys()
    assert models.rules() == ["new", "same_money"]
    assert len({key["source_key"] for key in models.keys().values()}) == 1


@pytest.mark.parametrize(
    ("day", "rule"), [("08", "same_money"), ("09", "held"), ("11", "held"), ("12", "new")]
)
def test_reports_further_apart_than_match_days_are_a_question_and_after_six_days_two_payments(
    models: Warehouse, day: str, rule: str
) -> None:
    models.file_row(NACH, ref="nach:1", on="2025-11-05")
    models.file_row(PAYMENT, ref="dmi:T1", on=f"2025-11-{day}")
    models.assign_keys()
    assert models.rules() == ["new", rule]


def test_sources_without_a_common_group_never_share_a_payment(models: Warehouse) -> None:
    models.file_row("RAW_UGRO_NACH_CSV", "UGRO-LN-1", ref="nach:1")
    models.file_row(REPORT, "UGRO-LN-1", ref="razorpay:pay_1")
    models.assign_keys()
    assert models.rules() == ["new", "held"]


def test_two_equal_payments_reported_twice_are_paired_off(models: Warehouse) -> None:
    """Each report of the second source takes a payment that its source has not reported yet."""
    models.file_row(NACH, ref="nach:1", on="2025-11-05")
    models.file_row(PAYMENT, ref="dmi:T1", on="2025-11-06")
    models.file_row(NACH, ref="nach:2", on="2025-11-08")
    models.file_row(PAYMENT, ref="dmi:T2", on="2025-11-08")
    models.assign_keys()
    assert models.rules() == ["new", "same_money", "new", "same_money"]
    assert len({key["source_key"] for key in models.keys().values()}) == 2


def test_a_payment_takes_one_report_of_a_source(models: Warehouse) -> None:
    nach, payment = "RAW_SHIVALIK_NACH_CSV", "RAW_SHIVALIK_PAYMENT_CSV"
    models.file_row(nach, "SHIV-LN-1", ref="nach:1", on="2025-11-05")
    models.file_row(payment, "SHIV-LN-1", on="2025-11-05")
    models.file_row(payment, "SHIV-LN-1", on="2025-11-06")
    models.assign_keys()
    assert models.rules() == ["new", "same_money", "new"]


def test_of_several_payments_that_only_money_speaks_for_the_oldest_is_taken(
    models: Warehouse,
) -> None:
    first = models.file_row(NACH, ref="nach-dmi:1", on="2025-11-05")
    models.file_row(NACH, ref="nach-dmi:2", on="2025-11-06")
    late = models.file_row(PAYMENT, ref="dmi:T1", on="2025-11-07")
    models.assign_keys()
    assert models.rules() == ["new", "new", "same_money"]
    assert models.keys()[late]["source_key"] == models.keys()[first]["source_key"]


def test_it_is_asked_about_where_another_one_could_be_its_own_report_again(
    models: Warehouse,
) -> None:
    """The lender's T2 joins the second debit, or is T1 under another name."""
    models.file_row(NACH, ref="nach-dmi:1", on="2025-11-05")
    models.file_row(PAYMENT, ref="dmi:T1", on="2025-11-05")
    models.file_row(NACH, ref="nach-dmi:2", on="2025-11-06")
    models.file_row(PAYMENT, ref="dmi:T2", on="2025-11-05")
    models.assign_keys()
    assert models.rules() == ["new", "same_money", "new", "held"]


def test_two_issued_references_are_two_payments(models: Warehouse) -> None:
    for n in range(3):
        models.file_row(REPORT, "UGRO-LN-1", ref=f"razorpay:pay_{n}")
    models.file_row("RAW_UGRO_PAYMENT_CASHFREE", "UGRO-LN-1", ref="cashfree:77")
    models.assign_keys()
    assert models.rules() == ["new", "proven_another", "proven_another", "proven_another"]
    assert models.holds() == []


def test_rows_of_one_file_with_references_of_their_own_are_payments_of_their_own(
    models: Warehouse,
) -> None:
    rows = [
        models.file_row(NACH, ref=f"nach-dmi:{n}", file_id=1, landed_at=START) for n in range(3)
    ]
    models.assign_keys()
    assert [models.keys()[row]["source_key"] for row in rows] == [FORMULA, next_key(1), next_key(2)]
    assert models.rules() == ["new", "proven_another", "proven_another"]
    assert models.holds() == []


def test_the_same_rows_in_files_apart_may_be_one_debit_under_a_new_reference(
    models: Warehouse,
) -> None:
    for n in range(2):
        models.file_row(NACH, ref=f"nach-dmi:{n}")
    models.assign_keys()
    assert models.rules() == ["new", "held"]


def test_equal_money_that_nothing_tells_apart_is_held(models: Warehouse) -> None:
    """Two rows of one file; the same row in a file that is sent again is the same payment."""
    first, second = (
        models.file_row(ARTHMATE, "ARTH-LN-1", file_id=1, landed_at=START) for _ in range(2)
    )
    models.assign_keys()
    keys = models.keys()
    [hold] = models.holds()
    assert keys[second]["rule"] == "held"
    assert keys[second]["occurrence"] == 1
    assert hold["source_key"] == keys[second]["source_key"]
    assert hold["reason_code"] == "possible_duplicate"
    assert hold["decision"] is None
    assert hold["facts"] == {
        "loan": "ARTH-LN-1",
        "amount": 1000.00,
        "date": "2025-11-05",
        "other_key": keys[first]["source_key"],
        "candidates": [{"key": keys[first]["source_key"], "same": "equal loan and amount"}],
    }
    assert hold["reason"] == (
        f"may be the same money as payment {keys[first]['source_key']} (equal loan and amount)"
    )


def test_a_reference_is_no_proof_against_a_payment_without_one(models: Warehouse) -> None:
    models.file_row(IKF, "IKF-LN-1")
    models.file_row(IKF, "IKF-LN-1", ref="nach:1")
    models.file_row(IKF, "IKF-LN-1", ref="nach:2")
    models.assign_keys()
    assert models.rules() == ["new", "held", "held"]


def test_the_same_row_in_a_file_that_is_sent_again_is_the_same_payment(models: Warehouse) -> None:
    for _ in range(2):
        models.file_row(ARTHMATE, "ARTH-LN-1")
    models.assign_keys()
    assert models.rules() == ["new", "same_money"]


@pytest.mark.parametrize("outcome", ["failed", "return", "reject", "pending", "late_return"])
def test_what_is_no_success_gets_a_provisional_key(models: Warehouse, outcome: str) -> None:
    models.file_row(NACH, outcome=outcome)
    models.file_row(NACH, outcome=outcome)
    models.assign_keys()
    assert models.rules() == ["provisional"] * 2
    assert len({key["source_key"] for key in models.keys().values()}) == 2


@pytest.mark.parametrize(
    "lacking", [{"loan": None}, {"loan": "unreadable"}, {"amount": None}, {"on": None}]
)
def test_a_success_that_lacks_a_fact_gets_a_provisional_key(
    models: Warehouse, lacking: dict[str, str | None]
) -> None:
    models.file_row(NACH, **lacking)  # type: ignore[arg-type]
    models.assign_keys()
    assert models.rules() == ["provisional"]


def test_a_failure_joins_the_payment_when_it_succeeds_later(models: Warehouse) -> None:
    failed = models.file_row(NACH, outcome="pending", ref="nach:1")
    models.assign_keys()
    paid = models.file_row(NACH, ref="nach:1")
    models.assign_keys()
    keys = models.keys()
    assert keys[failed]["source_key"] == keys[paid]["source_key"] == FORMULA
    assert keys[failed]["rule"] == "same_ref"


def test_a_failure_after_the_success_keeps_to_the_payment(models: Warehouse) -> None:
    models.file_row(NACH, ref="nach:1")
    models.assign_keys()
    late = models.file_row(NACH, outcome="late_return", ref="nach:1")
    models.assign_keys()
    assert models.keys()[late]["source_key"] == FORMULA


def test_a_loan_known_from_another_observation_of_an_issued_reference_serves_all(
    models: Warehouse,
) -> None:
    """A success without a loan must not stay behind when a failure named the loan."""
    paid = models.file_row(REPORT, loan=None, ref="razorpay:pay_1")
    models.assign_keys()
    named = models.file_row(REPORT, "UGRO-LN-1", outcome="pending", ref="razorpay:pay_1")
    models.assign_keys()
    keys = models.keys()
    assert keys[paid]["source_key"] == keys[named]["source_key"]
    assert keys[paid]["rule"] == "new"
    assert keys[paid]["loan_external_id"] == "UGRO-LN-1"


def test_a_mapped_loan_makes_a_payment_postable(models: Warehouse) -> None:
    paid = models.file_row(NACH, loan=None, ref="nach:1")
    models.assign_keys()
    provisional = models.keys()[paid]
    models.connection.execute(
        'INSERT INTO "CORE"."CORE_LOAN_MAPPING" (payment_ref, loan_external_id, mapped_by,'
        " mapped_why) VALUES ('nach:1', 'DMI-APP-1', 'asha', 'named by the borrower')"
    )
    assert models.assign_keys() == 1
    assert models.keys()[paid]["source_key"] == FORMULA
    assert provisional["rule"] == "provisional"
    assert models.assign_keys() == 0


def test_a_corrected_row_keeps_the_key_of_the_row_it_replaces(models: Warehouse) -> None:
    row = models.file_row(NACH)
    models.assign_keys()
    corrected = models.file_row(NACH, amount="900.00", replaces_id=row)
    again = models.file_row(NACH, amount="800.00", replaces_id=row)
    models.assign_keys()
    keys = models.keys()
    assert keys[corrected]["source_key"] == keys[again]["source_key"] == FORMULA
    assert keys[again]["rule"] == "replaces"


def test_a_row_whose_correction_can_be_posted_follows_it(models: Warehouse) -> None:
    row = models.file_row(NACH, loan="garbled")
    models.assign_keys()
    corrected = models.file_row(NACH, replaces_id=row)
    models.assign_keys()
    keys = models.keys()
    assert keys[corrected]["rule"] == "new"
    assert keys[row]["source_key"] == FORMULA


def test_a_reference_outweighs_the_row_that_is_replaced(models: Warehouse) -> None:
    """One reference is one payment, even when a correction says so of another row."""
    row = models.file_row(NACH, ref="nach:1")
    other = models.file_row(NACH, "DMI-APP-2", ref="nach:2")
    corrected = models.file_row(NACH, "DMI-APP-2", ref="nach:2", replaces_id=row)
    models.assign_keys()
    keys = models.keys()
    assert keys[corrected]["source_key"] == keys[other]["source_key"] != keys[row]["source_key"]


@pytest.mark.parametrize("together", [True, False])
def test_a_withdrawn_report_still_names_a_payment_that_another_source_may_report(
    models: Warehouse, together: bool
) -> None:
    row = models.file_row(NACH, ref="nach:1")
    if not together:
        models.assign_keys()
    models.file_row(NACH, outcome="withdrawn", ref="nach:1", replaces_id=row)
    models.file_row(PAYMENT, ref="dmi:T1", on="2025-11-06")
    models.assign_keys()
    assert models.rules() == ["new", "replaces", "same_money"]


@pytest.mark.parametrize("together", [True, False])
def test_a_correction_is_what_other_sources_are_matched_with(
    models: Warehouse, together: bool
) -> None:
    row = models.file_row(NACH, "DMI-APP-7")
    if not together:
        models.assign_keys()
    models.file_row(NACH, "DMI-APP-8", replaces_id=row)
    models.file_row(PAYMENT, "DMI-APP-8", ref="dmi:T1")
    models.file_row(PAYMENT, "DMI-APP-7", ref="dmi:T2")
    models.assign_keys()
    assert models.rules() == ["new", "replaces", "same_money", "held"]


def test_landing_again_what_was_landed_changes_no_key(models: Warehouse) -> None:
    rows = [models.file_row(NACH, ref=f"nach:{n % 3}") for n in range(6)]
    models.assign_keys()
    before = models.keys()
    replays = [
        models.file_row(NACH, ref=f"nach:{n % 3}", replaces_id=rows[n]) for n in (4, 1, 0, 5)
    ]
    models.assign_keys()
    after = models.keys()
    assert {row: after[row] for row in rows} == before
    assert {after[row]["source_key"] for row in replays} <= {
        key["source_key"] for key in before.values()
    }


def test_with_nothing_new_no_batch_is_made(models: Warehouse) -> None:
    models.file_row(NACH)
    models.assign_keys()
    [before] = models.rows('SELECT last_value FROM "CORE".key_batch')
    assert models.assign_keys() == 0
    assert models.rows('SELECT last_value FROM "CORE".key_batch') == [before]


def test_reading_a_table_again_keys_only_what_was_not_keyed(models: Warehouse) -> None:
    """A view that is corrected may show rows that it left out before."""
    models.event(API, {"payload": {}})
    keyed = models.file_row(NACH, ref="nach:1")
    models.assign_keys()
    before = models.keys()
    models.connection.execute(
        'UPDATE "RAW"."RAW_UGRO_RAZORPAY_API" SET payload = %s',
        ('{"payload": {"payment": {"entity": {"id": "pay_1"}}}}',),
    )
    models.connection.execute('UPDATE "CORE"."CORE_RAW_CUT" SET keyed_to = 0')
    assert models.assign_keys() == 1
    assert models.keys()[keyed] == before[keyed]
