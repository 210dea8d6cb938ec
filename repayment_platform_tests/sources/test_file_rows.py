"""From cells to values: every quirk of real files, and the samples whole."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import source_named
from repayment_platform.sources.rows import Payment
from repayment_platform_tests.sources.reading import (
    GOOD,
    HEADER,
    NACH,
    SAMPLES,
    read,
    read_text,
    row,
    text_of,
)


def one(folder: Path, **changes: str) -> Payment:
    seen = read_text(folder, text_of(row(**changes)))
    assert not seen.refused
    return seen.payments[0]


def refused(folder: Path, **changes: str) -> str:
    seen = read_text(folder, text_of(row(**changes)))
    assert not seen.landed
    assert changes.keys() >= {"Loan_Account_Number"} or GOOD["UMRN"] in seen.refused[0].original
    return seen.codes[0]


def test_a_plain_row_is_read(tmp_path: Path) -> None:
    assert one(tmp_path) == Payment(
        "DMI-APP-1", "nach-dmi:NPT1", date(2025, 11, 6), None, Decimal("500.00"), "success",  # type: ignore[arg-type]
        None, None, "HDFC7011311230001234", "ICIC531012345678", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Amount": ""}, "MISSING_VALUE"),
        ({"Amount": "-"}, "MISSING_VALUE"),
        ({"Amount": "12,5OO.00"}, "BAD_DECIMAL"),
        ({"Amount": "4.255"}, "BAD_DECIMAL"),
        ({"Amount": "(500.00)"}, "AMBIGUOUS_DIRECTION"),
        ({"Amount": "347.00 Dr"}, "AMBIGUOUS_DIRECTION"),
        ({"Settlement_Date": ""}, "MISSING_VALUE"),
        ({"Settlement_Date": "31/02/2025"}, "BAD_DATE"),
        ({"Settlement_Date": "3009202"}, "BAD_DATE"),
        ({"Settlement_Date": "5112025"}, "BAD_DATE"),
        ({"Status": ""}, "MISSING_VALUE"),
        ({"Status": "perhaps"}, "UNKNOWN_VALUE"),
        ({"Reason_Code": "04"}, "CONTRADICTORY_STATUS"),
        ({"UTR": "5.30112E+11"}, "ID_DAMAGED_BY_EXCEL"),
        ({"Presentation_Reference": "5E+11"}, "ID_DAMAGED_BY_EXCEL"),
        ({"Loan_Account_Number": "1.23457E+15"}, "ID_DAMAGED_BY_EXCEL"),
        ({"Loan_Account_Number": "x" * 201}, "ID_TOO_LONG"),
        ({"Presentation_Reference": "9" * 192}, "ID_TOO_LONG"),  # with its prefix
        ({"UTR": "x" * 201}, "ID_TOO_LONG"),
        ({"UMRN": "HDFC7011311230001234" * 11}, "ID_TOO_LONG"),
    ],
)
def test_a_bad_cell_quarantines_its_row(tmp_path: Path, changes: dict[str, str], code: str) -> None:
    assert refused(tmp_path, **changes) == code


@pytest.mark.parametrize("nothing", ["", "-", "NA", "N/A", "NULL", "nan", " - ", "0"])
def test_words_for_nothing_leave_ids_empty(tmp_path: Path, nothing: str) -> None:
    payment = one(tmp_path, UTR=nothing, UMRN=nothing, Presentation_Reference=nothing)
    assert (payment.utr, payment.umrn, payment.payment_ref) == (None, None, None)


def test_a_payment_without_a_loan_is_landed_for_someone_to_find_it(tmp_path: Path) -> None:
    assert one(tmp_path, Loan_Account_Number="").loan_ref is None


def test_an_apostrophe_that_excel_put_before_a_number_is_taken_off_once(tmp_path: Path) -> None:
    assert one(tmp_path, UTR="'50100000000001").utr == "50100000000001"
    assert one(tmp_path, UTR="''5").utr == "'5"


@pytest.mark.parametrize("reference", ["1234567890123450", "12345678901234500000"])
def test_a_long_number_that_ends_in_zeros_is_told_of_and_tells_no_payments_apart(
    tmp_path: Path, reference: str
) -> None:
    """Excel keeps fifteen digits: two references may have become one, a UTR is none anyway."""
    loan = row(Loan_Account_Number=reference, UTR=reference, Presentation_Reference=reference)
    seen = read_text(tmp_path, text_of(loan))
    [payment] = seen.payments
    assert (payment.loan_ref, payment.utr, payment.payment_ref) == (reference, reference, None)
    assert seen.totals["rounded_ids"] == 3


@pytest.mark.parametrize("reference", ["123456789012340", "1234567890123401", "N234567890123450"])
def test_other_ids_are_not_taken_for_rounded_ones(tmp_path: Path, reference: str) -> None:
    seen = read_text(tmp_path, text_of(row(Presentation_Reference=reference)))
    assert seen.payments[0].payment_ref == f"nach-dmi:{reference}"
    assert "rounded_ids" not in seen.totals


@pytest.mark.parametrize(
    "reference", ["HDFC7011311230001234", "ICIC531012345678", "SBIN7021311230001235"]
)
def test_a_utr_or_a_bare_umrn_is_no_reference_of_one_payment(
    tmp_path: Path, reference: str
) -> None:
    assert one(tmp_path, Presentation_Reference=reference).payment_ref is None
    assert one(tmp_path, Presentation_Reference=f"{reference}-1").payment_ref is not None
    assert one(tmp_path, Presentation_Reference="M-1", UMRN="M-1").payment_ref is None


def test_a_zero_amount_is_landed_as_it_is(tmp_path: Path) -> None:
    assert one(tmp_path, Amount="0").amount == 0


def test_money_taken_back_is_stored_without_sign(tmp_path: Path) -> None:
    assert one(tmp_path, Status="Reversed", Amount="(500.00)").amount == 500


def test_equal_rows_all_land(tmp_path: Path) -> None:
    assert len(read_text(tmp_path, text_of(row(), row(), row())).landed) == 3


@pytest.mark.parametrize("label", ["Total", "GRAND TOTAL", "Totals:"])
@pytest.mark.parametrize("total", ["1,500.00", "500"])
def test_a_total_row_that_agrees_is_no_payment(tmp_path: Path, label: str, total: str) -> None:
    failed = row(Amount="1000", Status="BOUNCE", Presentation_Reference="NPT2")
    totals = [label, "", "", total, "", "", "", "", ""]
    seen = read_text(tmp_path, text_of(row(), failed, totals))
    assert (len(seen.landed), seen.refused) == (2, [])
    assert seen.totals["declared"] == [
        {"line": 4, "amount": str(Decimal(total.replace(",", "")).quantize(Decimal("0.01"))),
         "agrees": True}
    ]  # fmt: skip


def test_a_total_that_does_not_agree_refuses_the_file(tmp_path: Path) -> None:
    text = text_of(row(), ["Total", "", "", "501.00", "", "", "", "", ""])
    with pytest.raises(FileRefused) as refusal:
        read_text(tmp_path, text)
    assert refusal.value.code is FileReason.CONTROL_TOTAL_MISMATCH


def test_a_total_proves_nothing_where_an_amount_is_unreadable(tmp_path: Path) -> None:
    totals = ["Total", "", "", "999.00", "", "", "", "", ""]
    seen = read_text(tmp_path, text_of(row(), row(Amount="4x9"), totals))
    assert (len(seen.landed), seen.codes) == (1, ["BAD_DECIMAL"])
    assert seen.totals["declared"][0]["agrees"] is False


def test_the_amount_of_a_row_bad_for_another_reason_counts_in_the_total(tmp_path: Path) -> None:
    totals = ["Total", "", "", "1000.00", "", "", "", "", ""]
    seen = read_text(tmp_path, text_of(row(), row(Settlement_Date="31/02/2025"), totals))
    assert seen.totals["declared"][0]["agrees"] is True


def test_the_unit_is_a_property_of_the_source(tmp_path: Path) -> None:
    source = replace(source_named(NACH), unit="paise")
    assert read_text(tmp_path, text_of(row(Amount="50000")), source).payments[0].amount == 500
    assert read_text(tmp_path, text_of(row(Amount="500.00")), source).codes == ["BAD_DECIMAL"]


SAMPLE_ROWS = {
    "nach_generic_lender_mis.csv": (
        "RAW_ARTHMATE_NACH_CSV",
        [
            ("ARTH-LN-9001", None, "2025-11-06", "12500.50", "success", None),
            ("ARTH-LN-9002", None, "2025-11-06", "125000.00", "return", "04"),
            ("ARTH-LN-9003", None, "2025-11-05", "8800.00", "reject", "21"),
            ("ARTH-LN-9004", None, "2025-11-06", "7000.00", "pending", "98"),
        ],
    ),
    "payment_file_dmi_collection_update.csv": (
        "RAW_DMI_PAYMENT_CSV",
        [
            ("DMI-APP-771", "dmi:pay_SYN0000000021", "2025-11-19", "6250.00", "success", None),
            ("DMI-APP-772", "dmi:pay_SYN0000000022", "2025-11-19", "3000.00", "success", None),
        ],
    ),
    "payment_file_vivriti_like.csv": (
        "RAW_VIVRITI_PAYMENT_CSV",
        [
            ("VIV-LN-77", None, "2025-11-19", "5000.00", "success", None),
            ("VIV-LN-78", None, "2025-11-19", "5000.00", "success", None),
        ],
    ),
    "razorpay_payments_report.csv": (
        "RAW_UGRO_PAYMENT_RAZORPAY",
        [
            ("UGRO-LN-000123", "razorpay:pay_SYN0000000001", "2025-11-19", "12500.50", "success",
             None),
            (None, "razorpay:pay_SYN0000000002", "2025-11-19", "12500.50", "failed",
             "BAD_REQUEST_ERROR"),
        ],
    ),
    "razorpay_settlement_recon_dashboard.csv": (
        "RAW_UGRO_PAYMENT_RAZORPAY",
        [
            ("UGRO-LN-000123", "razorpay:pay_SYN0000000001", "2025-11-19", "12500.50", "success",
             None),
            ("UGRO-LN-000123/EMI5", None, "2025-11-21", "500.50", "refund", None),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE_ROWS)
def test_a_sample_is_read_as_its_sender_means_it(name: str) -> None:
    table, expected = SAMPLE_ROWS[name]
    seen = read(SAMPLES / name, table)
    assert not seen.refused
    assert [
        (p.loan_ref, p.payment_ref, str(p.payment_date), str(p.amount), p.outcome, p.reason_code)
        for p in seen.payments
    ] == expected


def test_notes_are_read_whatever_json_they_are(tmp_path: Path) -> None:
    header = ["id", "amount", "status", "created_at", "notes"]
    notes = ['{"loan_id":"UGRO-LN-1"}', '{"loanId":123}', "[]", "null", "{}", '{"loan_id":null}',
             '{"loan_id":" "}', "UGRO-LN-2", "{broken", "",
             '{"loan_id":"C-1","loanId":"UGRO-LN-3"}',
             '{"loan_id":"UGRO-LN-1/EMI5","loanId":"UGRO-LN-1"}',
             '{"loan_id":"UGRO-LN-1","loanId":"ugro-ln-2"}']  # fmt: skip
    rows = [
        [f"pay_{n}", "5", "captured", "19/11/2025 08:40:00", text] for n, text in enumerate(notes)
    ]
    seen = read_text(tmp_path, text_of(*rows, header=header), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert [payment.loan_ref for payment in seen.payments] == [
        "UGRO-LN-1", "123", None, None, None, None, None, "UGRO-LN-2", "{broken", None, "UGRO-LN-3",
        "UGRO-LN-1/EMI5", "UGRO-LN-1 / ugro-ln-2",
    ]  # fmt: skip


def test_a_refunded_amount_that_cannot_be_read_quarantines_its_payment(tmp_path: Path) -> None:
    header = ["id", "amount", "status", "created_at", "notes", "Amount Refunded"]
    refunds = ["", "0", "₹ 1,000.00", "1000.005", "partly"]
    rows = [
        [f"pay_{n}", "5000", "captured", "19/11/2025 08:40:00", "", refunded]
        for n, refunded in enumerate(refunds)
    ]
    seen = read_text(tmp_path, text_of(*rows, header=header), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert (len(seen.landed), seen.codes) == (3, ["BAD_DECIMAL"] * 2)


def test_a_refund_of_the_older_report_names_the_payment_it_takes_back(tmp_path: Path) -> None:
    header = ["entity_id", "type", "amount", "created_at", "payment_id", "notes"]
    rows = [
        ["pay_A", "payment", "500", "19/11/2025 08:40:00", "", '{"loan_id":"UGRO-LN-1"}'],
        ["rfnd_B", "refund", "200", "20/11/2025 08:40:00", "pay_A", "[]"],
    ]
    seen = read_text(tmp_path, text_of(*rows, header=header), "RAW_UGRO_PAYMENT_RAZORPAY")
    assert [(p.payment_ref, p.outcome) for p in seen.payments] == [
        ("razorpay:pay_A", "success"),
        ("razorpay:pay_A", "refund"),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])))
@example('say "so"')
@example("back\\slash")
@example("a\ttab and \x7f")
@example("100%s")
def test_any_text_of_a_cell_comes_through_to_the_stored_json(tmp_path: Path, text: str) -> None:
    header = [*HEADER, '5% "fee" \\']
    seen = read_text(tmp_path, text_of([*row(), text], header=header))
    assert seen.cells() == {**GOOD, header[-1]: text}


CELLS = st.sampled_from(
    ["", "0", "-", "SUCCESS", "BOUNCE", "06/11/2025", "500.00", "1,25,000", "NaN", "5E+9", '"',
     "x\ny", "Total", "'", "₹ 5", "DMI-APP-1", "\0", "04", *HEADER]
) | st.text(max_size=12)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELLS, min_size=7, max_size=11), max_size=6), st.sampled_from(",;\t|"))
def test_whatever_the_cells_hold_every_line_is_landed_refused_or_no_row(
    tmp_path: Path, rows: list[list[str]], delimiter: str
) -> None:
    text = text_of(*rows, delimiter=delimiter)
    try:
        seen = read_text(tmp_path, text.encode("utf-8", "replace"))
    except FileRefused:  # a total row that does not agree
        return
    numbers = [each.row_number for each in seen.landed]
    numbers += [each.row_number for each in seen.refused]
    assert len(set(numbers)) == len(numbers)
    assert all(2 <= number <= 1 + text.count("\n") + text.count("\r") for number in numbers)
