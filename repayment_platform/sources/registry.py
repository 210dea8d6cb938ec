"""The lenders and their payment sources: the one place that names them.

What belongs here: who the lenders are, which RAW table each source fills, and how its
records are to be read (units, date formats, column aliases, where the loan id stands, what
counts as success). Adding a lender means adding entries here, a dbt model and a sample.
What does not: reading files (`formats`), checking signatures, SQL, Dagster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache


class UnknownSource(LookupError):
    """No source of that name is registered."""


class PostingMode(StrEnum):
    AUTOMATED = "automated"
    """Posted by the half-hourly pipeline."""
    RECON = "recon"
    """Posted only when an operator asks for it in the Reconciliation screen."""


class Kind(StrEnum):
    RAZORPAY = "razorpay"
    CASHFREE = "cashfree"
    FILE = "file"


class Outcome(StrEnum):
    """What became of one payment, as its source says. Stored in RAW in these words."""

    SUCCESS = "success"
    FAILED = "failed"
    RETURN = "return"
    """A bank refused a NACH presentation (a bounce)."""
    REJECT = "reject"
    """A NACH item that never reached the borrower's bank."""
    PENDING = "pending"
    LATE_RETURN = "late_return"
    """Reported as a success before and taken back since."""
    REFUND = "refund"
    WITHDRAWN = "withdrawn"
    """The row was in a file that a later file replaced, and is not in the later one."""


@dataclass(frozen=True)
class Lender:
    """A lender whose borrowers repay through us."""

    code: str
    name: str
    posting: PostingMode
    loan_id_pattern: str
    """POSIX regular expression of the loan ids as Fineract spells them. References such as
    `UGRO-LN-000123/EMI5` are upper-cased and cut down to the part that matches."""


@dataclass(frozen=True)
class Column:
    """How one field of a file is found and read."""

    aliases: tuple[str, ...]
    """Header texts, compared on letters and digits only; the first one present is used."""
    required: bool = False
    """The file is refused when none of the aliases is in its header."""
    date_formats: tuple[str, ...] = ()
    """strptime formats tried in this order; for date fields only."""
    json_keys: tuple[str, ...] = ()
    """The cell holds a JSON object; the first of these keys that is present is the value."""


@dataclass(frozen=True)
class Layout:
    """One set of columns in which a source may send its files.

    Fields: `loan_ref`, `amount`, `payment_date`, `presentation_date`, `status`,
    `reason_code`, `reason_text`, `payment_id`, `umrn`, `utr`, `method`, `row_type`.
    The payment date is `payment_date`, or where that is empty `presentation_date`.
    """

    name: str
    columns: Mapping[str, Column]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Status text, on letters and digits in lower case, to outcome."""
    default_outcome: Outcome | None = None
    """The outcome of every row of a layout without a status column."""
    row_types: Mapping[str, Outcome | None] = field(default_factory=dict)
    """Values of `row_type`: None means a payment row whose status decides."""


@dataclass(frozen=True)
class Source:
    """Something that sends payments of one lender, and the RAW table they land in."""

    table: str
    lender: str
    kind: Kind
    reports: str
    """Short name of the channel, shown to operators and used as `recon_source`."""
    unit: str
    """`paise` or `rupees`: a property of the format, never guessed from a number."""
    ref_namespace: str | None = None
    """Prefix of this source's `payment_ref`; None where it names no single payment."""
    loan_id_in: tuple[str, ...] = ()
    """Webhooks: JSON paths below `payload` (Razorpay) or `data` (Cashfree), first hit wins."""
    layouts: tuple[Layout, ...] = ()
    null_texts: tuple[str, ...] = ("", "-", "na", "n/a", "null", "none", "nan")
    match_group: str | None = None
    """Sources of one group report the same payments (design: same money reported twice)."""
    match_days: int = 0
    """Within a group: how many days apart two reports of one payment may be dated."""

    @property
    def id(self) -> str:
        return self.table


RUPEES, PAISE = "rupees", "paise"
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y", "%d.%m.%Y")
ISO = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")

LENDERS: dict[str, Lender] = {
    lender.code: lender
    for lender in (
        Lender("ARTHMATE", "Arthmate", PostingMode.AUTOMATED, r"ARTH-LN-\d+"),
        Lender("DMI", "DMI", PostingMode.AUTOMATED, r"DMI-APP-\d+"),
        Lender("GB", "GB", PostingMode.RECON, r"GB-LN-\d+"),
        Lender("IKF", "IKF", PostingMode.AUTOMATED, r"IKF-LN-\d+"),
        Lender("SHIVALIK", "Shivalik", PostingMode.AUTOMATED, r"SHIV-LN-\d+"),
        Lender("UGRO", "UGRO", PostingMode.RECON, r"UGRO-LN-\d+"),
        Lender("VIVRITI", "Vivriti", PostingMode.RECON, r"VIV-LN-\d+"),
    )
}

NACH_OUTCOMES: dict[str, Outcome] = {
    **dict.fromkeys(("success", "paid", "accepted", "accepted10", "1"), Outcome.SUCCESS),
    **dict.fromkeys(("bounce", "bounced", "return", "returned", "failed"), Outcome.RETURN),
    **dict.fromkeys(("reject", "rejected", "cancelled"), Outcome.REJECT),
    **dict.fromkeys(("bankextended", "extended", "pending", "submitted"), Outcome.PENDING),
    **dict.fromkeys(("latereturn", "reversed", "reversal"), Outcome.LATE_RETURN),
}


def _nach(*, payment_id: tuple[str, ...] = ()) -> Layout:
    """The layout that NACH aggregators and lenders share (payment-sources 4.2)."""
    columns = {
        "loan_ref": Column(
            ("Loan Account Number", "Loan Id", "Loan No", "LAN", "CRN", "loan_ref"), required=True
        ),
        "amount": Column(("Amount", "Amount (INR)", "Presented Amount"), required=True),
        "presentation_date": Column(
            ("Presentation Date", "Charge Date", "Trigger Date"), date_formats=DAY_FIRST + ISO
        ),
        "payment_date": Column(
            ("Settlement Date", "Value Date", "Credit Date"),
            required=True,
            date_formats=DAY_FIRST + ISO,
        ),
        "status": Column(("Status", "Current Status", "Response Status"), required=True),
        "reason_code": Column(("Return Reason Code", "Reason Code", "Response Code")),
        "reason_text": Column(("Return Reason", "Reason", "Response Description")),
        "umrn": Column(("UMRN", "Mandate UMRN")),
        "utr": Column(("UTR / Txn Ref", "UTR", "UTR No")),
    }
    if payment_id:
        columns["payment_id"] = Column(payment_id)
    return Layout("nach", columns, NACH_OUTCOMES)


NACH_REFERENCE = ("Presentation Reference", "Txn Reference", "txn_ref_id", "Transaction Reference")
RAZORPAY_LOAN_KEYS = ("loan_id", "loan_account_number", "loanId")
RAZORPAY_LOAN_ID_IN = (
    *(f"payment.entity.notes.{key}" for key in RAZORPAY_LOAN_KEYS),
    "order.entity.notes.loan_id",
    "virtual_account.entity.notes.loan_id",
    "qr_code.entity.notes.loan_id",
    "subscription.entity.notes.loan_id",
    "payment_link.entity.reference_id",
    "order.entity.receipt",
    "invoice.entity.receipt",
    "virtual_account.entity.description",
)
CASHFREE_LOAN_ID_IN = (
    "order.order_tags.loan_id",
    "link_notes.loan_id",
    "subscription_id",
    "order.order_id",
    "link_id",
    "payment_id",
    "payment_remarks",
)

RAZORPAY_PAYMENTS_REPORT = Layout(
    "razorpay payments report",
    {
        "payment_id": Column(("id", "Payment ID"), required=True),
        "amount": Column(("amount",), required=True),
        "status": Column(("status",), required=True),
        "payment_date": Column(
            ("created_at",), required=True, date_formats=("%d/%m/%Y %H:%M:%S", *ISO)
        ),
        "loan_ref": Column(("notes",), required=True, json_keys=RAZORPAY_LOAN_KEYS),
        "method": Column(("method",)),
        "reason_code": Column(("error_code",)),
        "reason_text": Column(("error_description",)),
    },
    {
        "captured": Outcome.SUCCESS,
        "refunded": Outcome.REFUND,
        "failed": Outcome.FAILED,
        "authorized": Outcome.PENDING,
        "created": Outcome.PENDING,
    },
)

RAZORPAY_SETTLEMENT_RECON = Layout(
    "razorpay settlement recon",
    {
        "row_type": Column(("transaction_entity", "type"), required=True),
        "payment_id": Column(("entity_id",), required=True),
        "amount": Column(("amount",), required=True),
        "payment_date": Column(
            ("payment_captured_at", "entity_created_at", "created_at"),
            required=True,
            date_formats=("%d/%m/%Y %H:%M:%S", *ISO),
        ),
        "presentation_date": Column(
            ("entity_created_at",), date_formats=("%d/%m/%Y %H:%M:%S", *ISO)
        ),
        "loan_ref": Column(("payment_notes", "notes"), json_keys=RAZORPAY_LOAN_KEYS),
        "method": Column(("payment_method", "method")),
        "utr": Column(("settlement_utr",)),
    },
    default_outcome=Outcome.SUCCESS,
    row_types={"payment": None, "refund": Outcome.REFUND, "adjustment": Outcome.FAILED},
)

DMI_COLLECTION_UPDATE = Layout(
    "collection update",
    {
        "loan_ref": Column(("Application ID", "Loan Id"), required=True),
        "amount": Column(("Received Amt", "Received Amount"), required=True),
        "payment_date": Column(("Payment Collected Date",), required=True, date_formats=DAY_FIRST),
        "status": Column(("Status",), required=True),
        "reason_text": Column(("Bounce Reason",)),
        "payment_id": Column(("Unique Token No",)),
        "umrn": Column(("UMRN",)),
        "utr": Column(("Reference",)),
        "method": Column(("Mode of Payment",)),
    },
    {"clear": Outcome.SUCCESS, "cleared": Outcome.SUCCESS, "bounce": Outcome.RETURN,
     "bounced": Outcome.RETURN, "pending": Outcome.PENDING},
)

SHIVALIK_PAYMENTS = Layout(
    "payments",
    {
        "loan_ref": Column(("Loan Account No", "Loan Number"), required=True),
        "amount": Column(("Paid Amount", "Amount"), required=True),
        "payment_date": Column(("Payment Date",), required=True, date_formats=DAY_FIRST + ISO),
        "status": Column(("Payment Status", "Status"), required=True),
        "utr": Column(("UTR",)),
        "method": Column(("Mode", "Payment Mode")),
    },
    {"success": Outcome.SUCCESS, "paid": Outcome.SUCCESS, "failed": Outcome.FAILED,
     "pending": Outcome.PENDING},
)

VIVRITI_PAYMENTS = Layout(
    "colending payments",
    {
        "loan_ref": Column(("loan_ref_id", "Loan Ref Id"), required=True),
        "amount": Column(("amount",), required=True),
        "payment_date": Column(("transactionDate",), required=True, date_formats=ISO),
        "status": Column(("transactionType",), required=True),
        "utr": Column(("instrumentNumber",)),
        "method": Column(("instrumentType",)),
    },
    {"credit": Outcome.SUCCESS, "refund": Outcome.REFUND},
)

_SOURCES = (
    Source("RAW_UGRO_RAZORPAY_API", "UGRO", Kind.RAZORPAY, "RAZORPAY", PAISE, "razorpay",
           loan_id_in=RAZORPAY_LOAN_ID_IN),
    Source("RAW_VIVRITI_RAZORPAY_API", "VIVRITI", Kind.RAZORPAY, "RAZORPAY", PAISE, "razorpay",
           loan_id_in=RAZORPAY_LOAN_ID_IN, match_group="vivriti-gateway", match_days=2),
    Source("RAW_UGRO_CASHFREE_API", "UGRO", Kind.CASHFREE, "CASHFREE", RUPEES, "cashfree",
           loan_id_in=CASHFREE_LOAN_ID_IN),
    Source("RAW_GB_CASHFREE_API", "GB", Kind.CASHFREE, "CASHFREE", RUPEES, "cashfree",
           loan_id_in=CASHFREE_LOAN_ID_IN),
    Source("RAW_ARTHMATE_NACH_CSV", "ARTHMATE", Kind.FILE, "NACH", RUPEES, layouts=(_nach(),)),
    Source("RAW_DMI_NACH_CSV", "DMI", Kind.FILE, "NACH", RUPEES, "nach",
           layouts=(_nach(payment_id=NACH_REFERENCE),), match_group="dmi", match_days=3),
    Source("RAW_GB_NACH_CSV", "GB", Kind.FILE, "NACH", RUPEES, "nach",
           layouts=(_nach(payment_id=NACH_REFERENCE),)),
    Source("RAW_IKF_NACH_CSV", "IKF", Kind.FILE, "NACH", RUPEES, "nach",
           layouts=(_nach(payment_id=NACH_REFERENCE),)),
    Source("RAW_SHIVALIK_NACH_CSV", "SHIVALIK", Kind.FILE, "NACH", RUPEES, "nach",
           layouts=(_nach(payment_id=NACH_REFERENCE),), match_group="shivalik", match_days=3),
    Source("RAW_UGRO_NACH_CSV", "UGRO", Kind.FILE, "NACH", RUPEES, "nach",
           layouts=(_nach(payment_id=NACH_REFERENCE),)),
    Source("RAW_DMI_PAYMENT_CSV", "DMI", Kind.FILE, "PAYMENT", RUPEES, "dmi",
           layouts=(DMI_COLLECTION_UPDATE,), match_group="dmi", match_days=3),
    Source("RAW_SHIVALIK_PAYMENT_CSV", "SHIVALIK", Kind.FILE, "PAYMENT", RUPEES,
           layouts=(SHIVALIK_PAYMENTS,), match_group="shivalik", match_days=3),
    Source("RAW_UGRO_PAYMENT_RAZORPAY", "UGRO", Kind.FILE, "RAZORPAY", RUPEES, "razorpay",
           layouts=(RAZORPAY_PAYMENTS_REPORT, RAZORPAY_SETTLEMENT_RECON)),
    Source("RAW_VIVRITI_PAYMENT_CSV", "VIVRITI", Kind.FILE, "PAYMENT", RUPEES,
           layouts=(VIVRITI_PAYMENTS,), match_group="vivriti-gateway", match_days=2),
)

SOURCES: dict[str, Source] = {source.table: source for source in _SOURCES}


def source_named(name: str) -> Source:
    """The source whose RAW table is `name`, in any case.

    Raises:
        UnknownSource: no such source; the message lists those that exist.
    """
    try:
        return SOURCES[name.strip().upper()]
    except KeyError:
        known = ", ".join(sorted(SOURCES))
        raise UnknownSource(f"unknown source {name!r}; the sources are: {known}") from None


@cache
def webhook_source(provider: str, lender: str) -> Source | None:
    """The source that a provider's webhook for a lender fills, or None where there is none."""
    for source in SOURCES.values():
        if source.kind == provider.lower() and source.lender == lender.upper():
            return source
    return None
