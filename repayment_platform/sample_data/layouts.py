"""The files that lenders send: their names, headers, date and money formats.

What belongs here: one `Form` for each kind of file, as its sender writes it. What does not: the
registry's column aliases; these headers are chosen apart from them, so that a wrong alias shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal


def plain(amount: Decimal) -> str:
    """12500.50."""
    return f"{amount:.2f}"


def grouped(amount: Decimal) -> str:
    """1,25,000.00: thousands, then lakhs and crores in pairs of digits."""
    rupees, paise = f"{amount:.2f}".split(".")
    head, tail = rupees[:-3], rupees[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(pairs), tail]) + "." + paise


def with_sign(amount: Decimal) -> str:
    return f"₹ {grouped(amount)}"


def short(amount: Decimal) -> str:
    """12500 and 12500.5, as spreadsheets and reports leave out zeros."""
    return f"{amount:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Form:
    """One kind of file. `columns` maps the header to the field that fills it; "" leaves it empty.

    `encodings` holds Python's name for each period, repeated as needed; `xlsx_periods` come as
    workbooks. `words` says what the sender writes for a status.
    """

    table: str
    file_name: str
    columns: Mapping[str, str]
    dates: str = "%d/%m/%Y"
    times: str = "%d/%m/%Y %H:%M:%S"
    money: Callable[[Decimal], str] = plain
    words: Mapping[str, str] = field(default_factory=dict)
    empty: str = ""
    delimiter: str = ","
    encodings: tuple[str, ...] = ("utf-8",)
    xlsx_periods: frozenset[int] = frozenset()
    total: bool = False
    below_settlements: bool = False
    """The rows stand below a table of the settlements that they add up to, as in Cashfree's."""


GENERIC_NACH_WORDS = {
    "paid": "SUCCESS",
    "bounced": "BOUNCE",
    "rejected": "Rejected",
    "pending": "BANK EXTENDED",
    "taken back": "LATE RETURN",
}
AGGREGATOR_WORDS = {
    "paid": "Paid",
    "bounced": "Returned",
    "rejected": "Cancelled",
    "pending": "Submitted",
    "taken back": "Reversed",
}


def _generic_nach(reference: Mapping[str, str]) -> dict[str, str]:
    """The columns of a sponsor bank's list of presentations."""
    return {
        "Sr No": "serial",
        "Loan Account Number": "loan",
        "Customer Name": "borrower",
        "UMRN": "umrn",
        "Sponsor Bank": "sponsor",
        "Utility Code": "utility",
        **reference,
        "Presentation Date": "presented",
        "Settlement Date": "paid_on",
        "Amount": "amount",
        "Status": "status",
        "Return Reason Code": "code",
        "Return Reason": "reason",
        "UTR / Txn Ref": "utr",
        "Product Type": "product",
    }


AGGREGATOR_NACH = {
    "Charge Date": "presented",
    "Mandate UMRN": "umrn",
    "Amount (INR)": "amount",
    "Product Type": "product",
    "Loan No": "loan",
    "Transaction Reference": "reference",
    "Current Status": "status",
    "Response Code": "code",
    "Response Description": "reason",
    "Sponsor Bank": "sponsor",
    "Value Date": "paid_on",
    "UTR No": "utr",
}
DMI_COLLECTION_UPDATE = {
    "Date": "reported",
    "Application ID": "loan",
    "Channel Partner": "partner",
    "Borrower Name": "borrower",
    "Payment Collected Date": "paid_on",
    "SOA/Bank Date": "reported",
    "Received Amt": "amount",
    "Actual EMI": "emi",
    "Accrued Interest/Interest": "zero",
    "Penal Interest/Overdue Interest": "zero",
    "Bounce Charge Paid": "zero",
    "Penal Charge Paid": "zero",
    "Closure Charges": "zero",
    "Charge Type": "",
    "Payment Type": "payment_type",
    "# Of EMI": "one",
    "Difference": "zero",
    "Status": "status",
    "Bounce Reason": "reason",
    "Reference": "utr",
    "UMRN": "umrn",
    "Mode of Payment": "method",
    "Source": "channel",
    "Unique Token No": "reference",
    "Remarks": "",
}
RAZORPAY_PAYMENTS = (
    "id amount currency status order_id invoice_id international method amount_refunded "
    "amount_transferred refund_status captured description card_id card bank wallet vpa email "
    "contact notes fee tax error_code error_description created_at card_type card_network"
)
RAZORPAY_SETTLEMENTS = (
    "transaction_entity,entity_id,amount,currency,fee (exclusive tax),tax,debit,credit,"
    "payment_method,card_type,issuer_name,entity_created_at,payment_captured_at,payment_notes,"
    "refund_notes,arn,entity_description,order_id,order_receipt,order_notes,dispute_id,"
    "dispute_created_at,dispute_reason,settlement_id,settled_at,settlement_utr,settled_by"
)
CASHFREE_SETTLEMENTS = (
    "Id,Total Transaction Amount,Settlement Amount,Adjustment,Net Settlement Amount,From,Till,"
    "Status,UTR No.,Settlement Date,Settlement Type,Settlement Charge,Settlement Tax,Remarks"
)
CASHFREE_DETAILS = "** Settlement Reconciliation Details **"
CASHFREE_EVENTS = ",".join(
    (
        "Event Id,Event Type,Sale Type,Event Currency,Event Time,Processed On,Status,Event Amount",
        "Event Settlement Amount,Settlement Date,UTR,Refund Type,Refund ARN,Adjustment Remarks",
        "Merchant Reference Id,Customer Reference Id,CashFree Reference Id,Customer Name",
        "Customer Phone,Customer Email,Currency,Transaction Amount,Transaction Service Charge",
        "Txn ST/GST,Net Settlement Amount,Transaction Time,Payment Mode,Bank Name,Auth Id",
        "Card Type (Scheme)",
        *(f"Vendor ID {n},Vendor Amount {n}" for n in range(1, 6)),
        *(f"Key_{n},Value_{n}" for n in range(1, 11)),
        "Surcharge Amount,Tax on Surcharge,Payment Mode SubType",
    )
)
_CASHFREE_FIELDS = {"Status": "status", "Event Amount": "amount"}
SETTLEMENTS = "settlements"
"""Marks the form of a table that is sent settlement reports beside payment reports."""

_FORMS = (
    Form(
        "RAW_ARTHMATE_NACH_CSV",
        "ARTHMATE_NACH_MIS_{:%d%m%Y}.csv",
        _generic_nach({}),
        money=grouped,
        words=GENERIC_NACH_WORDS,
        total=True,
    ),
    Form(
        "RAW_DMI_NACH_CSV",
        "DMI_NACH_Presentation_{:%Y%m%d}.csv",
        _generic_nach({"txn_ref_id": "reference"}),
        dates="%d-%m-%Y",
        words=GENERIC_NACH_WORDS,
        empty="-",
        encodings=("utf-8-sig", "utf-8"),
    ),
    Form(
        "RAW_GB_NACH_CSV",
        "GB_NACH_Response_{:%d-%b-%Y}.csv",
        _generic_nach({"Presentation Reference": "reference"}),
        dates="%d-%b-%Y",
        money=with_sign,
        words=GENERIC_NACH_WORDS,
        empty="NA",
    ),
    Form(
        "RAW_IKF_NACH_CSV",
        "IKF_debits_{:%Y-%m-%d}.csv",
        AGGREGATOR_NACH,
        dates="%Y-%m-%d",
        words=AGGREGATOR_WORDS,
    ),
    Form(
        "RAW_SHIVALIK_NACH_CSV",
        "SMFB NACH MIS {:%d.%m.%Y}.csv",
        _generic_nach({"Txn Reference": "reference"}),
        dates="%d.%m.%Y",
        money=grouped,
        words=GENERIC_NACH_WORDS,
        encodings=("cp1252", "utf-8"),
        total=True,
    ),
    Form(
        "RAW_UGRO_NACH_CSV",
        "UGRO_NACH_{:%d%m%y}.csv",
        AGGREGATOR_NACH,
        dates="%d/%m/%y",
        words=AGGREGATOR_WORDS,
        encodings=("utf-8", "utf-8-sig"),
    ),
    Form(
        "RAW_DMI_PAYMENT_CSV",
        "DMI Collection Update {:%d-%b-%y}.csv",
        DMI_COLLECTION_UPDATE,
        dates="%d-%b-%y",
        money=grouped,
        words={"paid": "Clear", "bounced": "Bounce", "pending": "Pending"},
        empty="-",
        xlsx_periods=frozenset({1}),
    ),
    Form(
        "RAW_SHIVALIK_PAYMENT_CSV",
        "Shivalik_Payments_{:%d%m%Y}.csv",
        {
            "Loan Account No": "loan",
            "Customer": "borrower",
            "Payment Date": "paid_on",
            "Paid Amount": "amount",
            "Payment Mode": "method",
            "UTR": "utr",
            "Payment Status": "status",
            "Remarks": "reason",
        },
        dates="%d-%m-%Y",
        money=grouped,
        words={"paid": "Success", "bounced": "Failed", "pending": "Pending"},
        encodings=("utf-8", "cp1252"),
    ),
    Form(
        "RAW_UGRO_PAYMENT_RAZORPAY",
        "payments - {:%d %b %Y}.csv",
        {header: header for header in RAZORPAY_PAYMENTS.split()},
        money=short,
        words={"paid": "captured", "bounced": "failed"},
    ),
    Form(
        "RAW_VIVRITI_PAYMENT_CSV",
        "colending_payments_{:%Y-%m-%d}.csv",
        {
            "loan_ref_id": "loan",
            "amount": "amount",
            "transactionDate": "paid_on",
            "investorTransferDate": "reported",
            "instrumentType": "method",
            "instrumentNumber": "utr",
            "transactionType": "status",
            "advanceOutstanding": "zero",
            "comment": "",
        },
        dates="%Y-%m-%d",
        words={"paid": "Credit", "taken back": "Refund"},
    ),
    *(
        Form(
            f"RAW_{lender}_PAYMENT_CASHFREE",
            "Settlement Recon Report {:%d %b %Y}.csv",
            {header: _CASHFREE_FIELDS.get(header, header) for header in CASHFREE_EVENTS.split(",")},
            times="%Y-%m-%d %H:%M:%S",
            words={"paid": "SUCCESS"},
            below_settlements=True,
        )
        for lender in ("GB", "UGRO")
    ),
)
_SETTLEMENT_FORM = Form(
    "RAW_UGRO_PAYMENT_RAZORPAY",
    "settlement recon - {:%d %b %Y}.csv",
    {header: header for header in RAZORPAY_SETTLEMENTS.split(",")},
    times="%Y-%m-%dT%H:%M:%S",
    money=short,
)
FORMS: dict[str, Form] = {
    **{form.table: form for form in _FORMS},
    SETTLEMENTS: _SETTLEMENT_FORM,
}
