"""Sequences of reports, walked through the rules of identity one after another.

Each is a movement of money or two and the reports of it, in order of arrival; all are successes
unless said. `became` is how many repayments would be posted unasked, and how many a person is
asked about.
"""

import random
from typing import Any

import pytest

from repayment_platform_tests.transformation.test_observations import razorpay, sample
from repayment_platform_tests.transformation.test_recon_record import captured
from repayment_platform_tests.transformation.walking import BANK, LENDER, Walk, day, models, walk
from repayment_platform_tests.transformation.warehouse import Row

__all__ = ["models", "walk"]
ARTHMATE, IKF = "RAW_ARTHMATE_NACH_CSV", "RAW_IKF_NACH_CSV"
SHIVALIK, SHIVALIK_LENDER = "RAW_SHIVALIK_NACH_CSV", "RAW_SHIVALIK_PAYMENT_CSV"
API, REPORT = "RAW_UGRO_RAZORPAY_API", "RAW_UGRO_PAYMENT_RAZORPAY"
CASHFREE_REPORT, CASHFREE = "RAW_UGRO_PAYMENT_CASHFREE", "RAW_GB_CASHFREE_API"
VIVRITI_API, VIVRITI = "RAW_VIVRITI_RAZORPAY_API", "RAW_VIVRITI_PAYMENT_CSV"
UNASKED, ASKED = (1, 0), (1, 1)


def of(loan: str, on: int, presented: int | None = None, **columns: Any) -> Row:
    """A report about a loan on a day, which says when it was presented."""
    return {
        "loan": loan,
        "on": day(on),
        "presentation_date": None if presented is None else day(presented),
    } | columns


def debit(n: int, on: int, presented: int) -> Row:
    """The bank's n-th debit of a mandate; its UTR is a payout's, which another loan has too."""
    return of("DMI-APP-1", on, presented, ref=f"nach-dmi:P{n}", umrn="U1", utr=f"S{n}")


def line(n: int, on: int) -> Row:
    return of("DMI-APP-1", on, ref=f"dmi:T{n}")


# ── 1 to 5: one movement under several names ────────────────────────────────────────────────


def test_1_two_events_of_one_payment_are_one(walk: Walk) -> None:
    walk.event(API, razorpay())
    walk.event(API, razorpay() | {"event": "order.paid"})
    assert walk.became() == UNASKED


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (ARTHMATE, [of("ARTH-LN-1", 5, 5, umrn="U1"), of("ARTH-LN-1", 6, 6, umrn="U1")]),
        (ARTHMATE, [of("ARTH-LN-1", 5), of("ARTH-LN-2", 5)]),
        (IKF, [of("IKF-LN-1", 5, 4, ref="nach-ikf:P1"), of("IKF-LN-1", 6, 5, ref="nach-ikf:P2")]),
        (BANK, [debit(1, 5, 4), debit(2, 5, 4)]),
        (LENDER, [line(1, 5), line(2, 6)]),
        (SHIVALIK_LENDER, [of("SHIV-LN-1", 5), of("SHIV-LN-1", 6)]),
        (VIVRITI, [of("VIV-LN-1", 5), of("VIV-LN-2", 5)]),
    ],
)  # fmt: skip
def test_1_a_file_landed_again_under_another_name_reports_the_same(
    walk: Walk, table: str, rows: list[Row]
) -> None:
    walk.file(table, *rows)
    walk.file(table, *rows)
    walk.file(table, *reversed(rows))
    assert walk.became() == (2, 0)


def test_2a_a_file_again_with_another_loan_is_asked_about(walk: Walk) -> None:
    walk.file(IKF, of("IKF-LN-1", 5, 4, ref="nach-ikf:P77", umrn="U1"))
    walk.file(IKF, of("IKF-LN-2", 5, 4, ref="nach-ikf:P77", umrn="U1"))
    assert walk.became() == (0, 2), "either loan may be the wrong one"


def test_2b_a_loan_named_by_hand_that_the_settlement_contradicts_is_asked_about(
    walk: Walk,
) -> None:
    walk.event(API, captured("pay_1", None))
    walk.models.connection.execute(
        'INSERT INTO "CORE"."CORE_LOAN_MAPPING" (payment_ref, loan_external_id, mapped_by,'
        " mapped_why) VALUES ('razorpay:pay_1', 'UGRO-LN-2', 'asha', 'the borrower called')"
    )
    walk.became()
    walk.file(REPORT, of("UGRO-LN-1", 19, ref="razorpay:pay_1"), amount="1000.00")
    assert walk.became() == (0, 2)


def test_2b_one_razorpay_id_at_the_endpoints_of_two_lenders_is_asked_about(walk: Walk) -> None:
    walk.event(API, captured("pay_1", "UGRO-LN-1"))
    walk.event(VIVRITI_API, captured("pay_1", "VIV-LN-1"))
    assert walk.became() == (0, 2)


@pytest.mark.parametrize("link_first", [True, False])
def test_3a_a_links_event_that_names_the_loan_and_the_payments_that_does_not_are_one(
    walk: Walk, link_first: bool
) -> None:
    link, paid = sample("cashfree_payment_link_event"), sample("cashfree_payment_success")
    order = link["data"]["order"]
    paid["data"]["order"] |= {"order_id": order["order_id"], "order_tags": None}
    paid["data"]["payment"]["payment_amount"] = float(order["order_amount"])
    paid["data"]["payment"]["payment_time"] = "2025-11-18T23:59:50+05:30"
    for event in (link, paid) if link_first else (paid, link):
        walk.event(CASHFREE, event)
    assert walk.became() == UNASKED
    [payment] = walk.models.core()
    assert payment["payment_date"].isoformat() == "2025-11-18"


def test_3b_a_row_without_a_loan_that_was_corrected_is_never_a_second_repayment(
    walk: Walk,
) -> None:
    [row] = walk.file(ARTHMATE, of("?", 5, 4, umrn="U1"))
    walk.file(ARTHMATE, of("ARTH-LN-1", 5, 4, umrn="U1"), replaces_id=row)
    assert walk.became() == UNASKED
    walk.file(ARTHMATE, of("ARTH-LN-1", 5, 4, umrn="U1"), replaces_id=row)
    assert walk.became() == UNASKED


def test_4_the_bank_six_days_after_the_lender_is_one_by_their_own_utr(walk: Walk) -> None:
    same = {"utr": "IC9", "umrn": "U1"}
    walk.file(BANK, of("DMI-APP-1", 7, 1, ref="nach-dmi:P9", **same))
    walk.file(LENDER, of("DMI-APP-1", 1, ref="dmi:T9", method="NACH", **same))
    assert walk.became() == UNASKED


DAYS = range(1, 8)
DEBITS = [(BANK, [debit(n, n, n - 1)]) for n in DAYS]
LINES = [(LENDER, [line(n, n + 1)]) for n in DAYS]
Sent = list[tuple[str, list[Row]]]


def alternating() -> Sent:
    return [each for pair in zip(DEBITS, LINES, strict=True) for each in pair]


def settle_daily(walk: Walk, sent: Sent) -> tuple[int, int]:
    """Land the files of a mandate that is presented daily; the payouts cover another loan too."""
    walk.file(BANK, *(of("DMI-APP-2", n, n, ref=f"nach-dmi:X{n}", utr=f"S{n}") for n in DAYS))
    for table, rows in sent:
        walk.file(table, *rows)
    repayments, asked = walk.became()
    return repayments - len(DAYS), asked


@pytest.mark.parametrize(
    "sent",
    [
        alternating(),
        [*DEBITS, (LENDER, [line(n, n + 1) for n in DAYS])],
        [*LINES, (BANK, [debit(n, n, n - 1) for n in DAYS])],
        [*LINES, *DEBITS],
        [(LENDER, [line(n, n + 1) for n in DAYS]), *DEBITS],
    ],
    ids=["alternating", "lender's after", "bank's after", "lender first", "lender's first"],
)
def test_5a_a_daily_mandate_reported_by_two_sources_is_seven_repayments(
    walk: Walk, sent: Sent
) -> None:
    assert settle_daily(walk, sent) == (7, 0)


@pytest.mark.parametrize("seed", range(4))
def test_5b_in_shuffled_files_it_is_seven_or_asked_about(walk: Walk, seed: int) -> None:
    sent = alternating()
    random.Random(seed).shuffle(sent)
    repayments, asked = settle_daily(walk, sent)
    assert repayments <= 7 <= repayments + asked


# ── 6 to 10: later files ────────────────────────────────────────────────────────────────────


def test_6_a_later_report_that_fills_blanks_is_of_the_same_presentation(walk: Walk) -> None:
    walk.file(ARTHMATE, of("ARTH-LN-1", 5, 5, umrn="U1"))
    walk.file(ARTHMATE, of("ARTH-LN-1", 6, 5, umrn="U1", utr="IC1"))
    assert walk.became() == UNASKED


def test_7_rows_of_one_file_with_references_of_their_own_are_payments_of_their_own(
    walk: Walk,
) -> None:
    same = {"umrn": "U1", "utr": "S"}
    rows = [of("IKF-LN-1", 5, 4, ref=f"nach-ikf:P{n}", **same) for n in (1, 2)]
    walk.file(IKF, *rows, of("IKF-LN-2", 5, 4, ref="nach-ikf:P3", utr="S"))
    assert walk.became() == (3, 0)


def test_7b_an_instalment_and_a_charge_of_one_mandate_and_day_are_two(walk: Walk) -> None:
    walk.file(ARTHMATE, *(of("ARTH-LN-1", 5, 5, umrn="U1", amount=a) for a in ("7000", "590")))
    assert walk.became() == (2, 0)


def test_7c_the_second_of_two_rows_equal_in_everything_is_asked_about(walk: Walk) -> None:
    walk.file(ARTHMATE, *[of("ARTH-LN-1", 5, 5, umrn="U1")] * 2)
    assert walk.became() == ASKED


def test_8a_two_payments_of_an_order_that_was_made_for_one_are_asked_about(walk: Walk) -> None:
    for number in ("1", "2"):
        paid = sample("cashfree_payment_success")
        paid["data"]["order"] |= {"order_id": "CFPay_abc_1"}
        paid["data"]["payment"]["cf_payment_id"] = number
        walk.event(CASHFREE, paid)
    assert walk.became() == ASKED


def test_8b_payments_of_two_gateways_are_two(walk: Walk) -> None:
    walk.file(REPORT, of("UGRO-LN-1", 5, ref="razorpay:pay_1"))
    walk.file(CASHFREE_REPORT, of("UGRO-LN-1", 5, ref="cashfree:1"))
    assert walk.became() == (2, 0)


def test_9_a_free_text_used_again_next_month_is_never_joined(walk: Walk) -> None:
    walk.file(LENDER, of("DMI-APP-1", 5, ref="dmi:EMI-1"))
    walk.file(LENDER, of("DMI-APP-1", 35, ref="dmi:EMI-1"))
    assert sum(walk.became()) == 2


def test_10_a_correction_to_another_reference_utr_and_day_is_asked_about(walk: Walk) -> None:
    [row] = walk.file(IKF, of("IKF-LN-1", 5, 4, ref="nach-ikf:P1", utr="IC1", umrn="U1"))
    walk.file(IKF, of("IKF-LN-1", 9, 8, ref="nach-ikf:P2", utr="IC2", umrn="U1"), replaces_id=row)
    assert walk.became() == (0, 1)


# ── 11 to 15: what takes money back ─────────────────────────────────────────────────────────


def test_11a_a_bounce_of_no_payment_says_nothing(walk: Walk) -> None:
    walk.file(BANK, debit(1, 5, 4) | {"outcome": "return"})
    assert walk.became() == (0, 0)


def test_11b_a_late_return_without_a_reference_takes_its_payment_back(walk: Walk) -> None:
    walk.file(ARTHMATE, of("ARTH-LN-1", 5, 5, umrn="U1"))
    walk.file(ARTHMATE, of("ARTH-LN-1", 12, 5, umrn="U1", outcome="late_return"))
    assert walk.became() == (0, 0)
    assert [row["outcome"] for row in walk.models.core()] == ["late_return"]


@pytest.mark.parametrize("reference", [{"ref": "nach-dmi:P1"}, {}])
def test_12_a_bounce_without_a_settlement_takes_back_what_was_settled_a_day_later(
    walk: Walk, reference: Row
) -> None:
    walk.file(BANK, of("DMI-APP-1", 6, 5, umrn="U1", **reference))
    walk.file(BANK, of("DMI-APP-1", 5, 5, umrn="U1", outcome="return", **reference))
    assert walk.became() == (0, 0)
    assert [row["outcome"] for row in walk.models.core()] == ["late_return"]


@pytest.mark.parametrize("references", [("A", "B"), ("A", "A"), (None, None)])
def test_13_a_success_after_a_bounce_is_the_next_presentation(
    walk: Walk, references: tuple[str | None, str | None]
) -> None:
    bounced, paid = (name and f"nach-dmi:{name}" for name in references)
    walk.file(BANK, of("DMI-APP-1", 5, 5, umrn="U1", ref=bounced, outcome="return"))
    walk.file(BANK, of("DMI-APP-1", 7, 7, umrn="U1", ref=paid))
    assert walk.became() == UNASKED


@pytest.mark.parametrize("bank_first", [True, False])
def test_14_the_banks_bounce_against_the_lenders_paid_is_a_conflict_until_the_bank_reports_success(
    walk: Walk, bank_first: bool
) -> None:
    bank = (BANK, of("DMI-APP-1", 5, 5, umrn="U1", ref="nach-dmi:P1", outcome="return"))
    lender = (LENDER, of("DMI-APP-1", 5, umrn="U1", ref="dmi:T1", method="NACH"))
    for table, row in (bank, lender) if bank_first else (lender, bank):
        walk.file(table, row)
    assert walk.became() == (0, 1)
    [payment] = [row for row in walk.models.core() if row["conflict"]]
    assert payment["conflict"].endswith("but the bank says not paid")
    walk.file(BANK, of("DMI-APP-1", 6, 6, umrn="U1", ref="nach-dmi:P1"))
    assert walk.became() == UNASKED


def test_15_what_a_lender_reports_of_a_returned_debit_is_no_repayment(walk: Walk) -> None:
    walk.file(BANK, debit(1, 5, 4))
    walk.file(BANK, debit(1, 8, 7) | {"outcome": "late_return"})
    walk.file(LENDER, line(1, 6))
    assert walk.became() == (0, 0)
    assert walk.models.rules() == ["new", "same_ref", "same_money"]


# ── 16 to 19: two sources ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bank_first", [True, False])
def test_16_a_reference_of_one_of_two_sources_is_enough(walk: Walk, bank_first: bool) -> None:
    bank, lender = (BANK, debit(1, 5, 5)), (LENDER, of("DMI-APP-1", 5))
    for table, row in (bank, lender) if bank_first else (lender, bank):
        walk.file(table, row)
    assert walk.became() == UNASKED


def test_17_a_lenders_file_may_call_the_rail_otherwise(walk: Walk) -> None:
    walk.event(VIVRITI_API, captured("pay_1", "VIV-LN-1", 500000, method="upi"))
    walk.file(VIVRITI, of("VIV-LN-1", 20, method="NEFT"))
    assert walk.became() == UNASKED


def test_18_nearly_equal_amounts_of_two_sources_are_asked_about(walk: Walk) -> None:
    walk.file(SHIVALIK, of("SHIV-LN-1", 5, 4, ref="nach-shivalik:P1", umrn="U1", utr="IC1"),
              amount="3000.00")  # fmt: skip
    walk.file(SHIVALIK_LENDER, of("SHIV-LN-1", 5, utr="AX1", method="NACH"), amount="3000.50")
    assert walk.became() == ASKED


def test_19_what_registers_a_mandate_is_no_payment(walk: Walk) -> None:
    walk.event(API, sample("razorpay_token_confirmed"))
    authorised = sample("cashfree_subscription_payment_success_enach")
    authorised["data"]["payment_type"] = "AUTH"
    walk.event(CASHFREE, authorised)
    walk.file(ARTHMATE, of("ARTH-LN-1", 5, 5, umrn="U1"), amount="0.00")
    assert walk.became() == (0, 0)
