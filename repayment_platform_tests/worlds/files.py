"""The rows of files, as banks and lenders write them.

What belongs here: the header of each source and the cells of a report. What does not: reading them
(the platform's own reader does), landing (`landing`).
"""

from collections.abc import Callable
from datetime import date, timedelta

from repayment_platform.sample_data.layouts import CASHFREE_EVENTS
from repayment_platform_tests.worlds.calendar import Calendar
from repayment_platform_tests.worlds.truth import Report, Says

Cell = Callable[[Report, Calendar], str]
_NACH_WORDS = {
    Says.PAID: "SUCCESS", Says.BOUNCED: "BOUNCE", Says.RETURNED: "LATE RETURN",
    Says.FAILED: "Rejected", Says.REFUNDED: "LATE RETURN",
}  # fmt: skip
_DMI_WORDS = {Says.PAID: "Clear", Says.BOUNCED: "Bounce"}
_SHIVALIK_WORDS = {Says.PAID: "Success", Says.FAILED: "Failed", Says.BOUNCED: "Failed"}
_VIVRITI_WORDS = {Says.PAID: "Credit", Says.REFUNDED: "Refund", Says.RETURNED: "Refund"}


def _text(name: str) -> Cell:
    return lambda report, _: getattr(report, name) or ""


def _day(name: str, form: str = "%d/%m/%Y") -> Cell:
    def cell(report: Report, calendar: Calendar) -> str:
        day = getattr(report, name)
        return "" if day is None else f"{calendar.date(day):{report.more.get('form', form)}}"

    return cell


def _word(words: dict[Says, str]) -> Cell:
    return lambda report, _: words[report.says]


def _amount(report: Report, _: Calendar) -> str:
    return str(report.more.get("text") or f"{report.amount:.2f}")


def _code(report: Report, _: Calendar) -> str:
    return "04" if report.says is Says.BOUNCED else ""


def _nothing(_report: Report, _: Calendar) -> str:
    return ""


def _nach(reference: str | None) -> dict[str, Cell]:
    return {
        "Loan Account Number": _text("loan"),
        "UMRN": _text("umrn"),
        **({reference: _text("ref")} if reference else {}),
        "Presentation Date": _day("presented"),
        "Settlement Date": _day("day"),
        "Amount": _amount,
        "Status": _word(_NACH_WORDS),
        "Return Reason Code": _code,
        "Return Reason": _nothing,
        "UTR / Txn Ref": _text("utr"),
    }


_IKF: dict[str, Cell] = {
    "Charge Date": _day("presented", "%Y-%m-%d"),
    "Mandate UMRN": _text("umrn"),
    "Amount (INR)": _amount,
    "Loan No": _text("loan"),
    "Transaction Reference": _text("ref"),
    "Current Status": _word(
        {
            Says.PAID: "Paid",
            Says.BOUNCED: "Returned",
            Says.RETURNED: "Reversed",
            Says.FAILED: "Cancelled",
        }
    ),
    "Response Code": _code,
    "Response Description": _nothing,
    "Value Date": _day("day", "%Y-%m-%d"),
    "UTR No": _text("utr"),
}
_DMI: dict[str, Cell] = {
    "Application ID": _text("loan"),
    "Payment Collected Date": _day("day", "%d-%b-%y"),
    "Received Amt": _amount,
    "Status": _word(_DMI_WORDS),
    "Bounce Reason": _nothing,
    "Reference": _text("utr"),
    "UMRN": _text("umrn"),
    "Mode of Payment": _text("mode"),
    "Unique Token No": _text("ref"),
}
_SHIVALIK: dict[str, Cell] = {
    "Loan Account No": _text("loan"),
    "Payment Date": _day("day", "%d-%m-%Y"),
    "Paid Amount": _amount,
    "Payment Mode": _text("mode"),
    "UTR": _text("utr"),
    "Payment Status": _word(_SHIVALIK_WORDS),
}
_VIVRITI: dict[str, Cell] = {
    "loan_ref_id": _text("loan"),
    "amount": _amount,
    "transactionDate": _day("day", "%Y-%m-%d"),
    "instrumentType": _text("mode"),
    "instrumentNumber": _text("utr"),
    "transactionType": _word(_VIVRITI_WORDS),
}


def _event_type(report: Report, _: Calendar) -> str:
    return {Says.PAID: "PAYMENT", Says.REFUNDED: "REFUND", Says.RETURNED: "CHARGEBACK"}[report.says]


def _event_time(report: Report, calendar: Calendar) -> str:
    return f"{calendar.date(report.day or 0):%Y-%m-%d} 10:15:00"


def _settlement_date(report: Report, calendar: Calendar) -> str:
    day: date = calendar.date(report.day or 0) + timedelta(days=1)
    return f"{day:%Y-%m-%d} 15:35:50"


def _tag(value: str) -> Cell:
    return lambda report, _: (value or report.loan or "") if report.loan else ""


_CASHFREE: dict[str, Cell] = dict.fromkeys(CASHFREE_EVENTS.split(","), _nothing) | {
    "Event Id": lambda report, _: f"43{report.ref}{report.says is not Says.PAID:d}",
    "Event Type": _event_type,
    "Event Currency": lambda report, _: str(report.more.get("currency", "INR")),
    "Event Time": _event_time,
    "Status": lambda _r, _c: "SUCCESS",
    "Event Amount": _amount,
    "Event Settlement Amount": lambda report, _: (
        f"{'' if report.says is Says.PAID else '-'}{report.amount:.2f}"
    ),
    "Settlement Date": _settlement_date,
    "UTR": _text("utr"),
    "Merchant Reference Id": lambda report, _: str(
        report.more.get("order") or f"order_{report.ref}"
    ),
    "CashFree Reference Id": _text("ref"),
    "Payment Mode": _text("mode"),
    "Key_1": _tag("loan_id"),
    "Value_1": _tag(""),
}

COLUMNS: dict[str, dict[str, Cell]] = {
    "RAW_ARTHMATE_NACH_CSV": _nach(None),
    "RAW_IKF_NACH_CSV": _IKF,
    "RAW_DMI_NACH_CSV": _nach("txn_ref_id"),
    "RAW_SHIVALIK_NACH_CSV": _nach("Txn Reference"),
    "RAW_UGRO_NACH_CSV": _nach("Transaction Reference"),
    "RAW_GB_NACH_CSV": _nach("Presentation Reference"),
    "RAW_DMI_PAYMENT_CSV": _DMI,
    "RAW_SHIVALIK_PAYMENT_CSV": _SHIVALIK,
    "RAW_VIVRITI_PAYMENT_CSV": _VIVRITI,
    "RAW_UGRO_PAYMENT_CASHFREE": _CASHFREE,
    "RAW_GB_PAYMENT_CASHFREE": _CASHFREE,
}


def cells(report: Report, calendar: Calendar) -> list[str]:
    """The texts of a row, under the headers of its source."""
    return [cell(report, calendar) for cell in COLUMNS[report.table].values()]
