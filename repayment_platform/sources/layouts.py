"""The layouts in which files come: columns, date formats, vocabulary of outcomes.

What belongs here: what a layout is, and those of banks and lenders: what their columns are
called and what their words mean. What does not: the gateways' (`gateways`), which lender sends
which layout (`registry`), finding a header in bytes (`headers`), reading rows (`rows`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from repayment_platform.sources import nach


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


def canonical(text: str) -> str:
    """Letters and digits of `text` in lower case: how headers and status words are compared."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


_UNIT = re.compile(r"(?<![a-z])(?:in\s+)?(?:rs|inr|rupees)[\s.)\]]*$")


def title(text: str) -> str:
    """How a column is called, without the unit rupees, which every amount is in: `Amount (Rs.)` is
    `Amount`. Another unit is another column."""
    return canonical(_UNIT.sub("", text.lower()))


@dataclass(frozen=True)
class Column:
    """How one field of a file is found and read."""

    aliases: tuple[str, ...]
    """Header texts, compared by `title`. A header that has several of them says the field several
    times: a row lands only if they agree."""
    required: bool = False
    """The file is refused when none of the aliases is in its header."""
    unless: str = ""
    """Another field whose column may stand for a required one."""
    first_wins: bool = False
    """The layout really has several of the aliases, and the first of them that a row fills is
    meant."""
    date_formats: tuple[str, ...] = ()
    """Formats tried in this order; for date fields only."""
    json_keys: tuple[str, ...] = ()
    """The cell holds a JSON object; the value stands under these keys."""
    pattern: str = ""
    """For ids: a text that does not match as a whole is not an id of this kind."""


@dataclass(frozen=True)
class Layout:
    """One set of columns in which a source may send its files.

    Fields: `loan_ref`, `loan_ref_else`, `amount`, `refunded`, `payment_date`,
    `payment_date_else`, `presentation_date`, `status`, `flag`, `reason_code`, `reason_text`,
    `payment_id`, `payment_order`, `refund_of`, `umrn`, `utr`, `method`, `currency`, `row_type`,
    `line_id`, `settlement_id`, `settlement_date`, `settled`, `fee`, `tax`, `credit`, `debit`,
    `tag_n`, `tagged_n`.
    The payment date is the first of `payment_date`, `payment_date_else` and `presentation_date`
    that is not empty. `presentation_date` is a mandate's day of presentation, which is kept
    beside it. The loan is the one that `loan_ref`, `loan_ref_else` and the tags name; a row that
    names two names none. `flag` is NPCI's: 1 is an accepted debit. `refunded` is how much of a
    payment has been given back so far, and `payment_order` an order that was made for one payment;
    dbt reads both from their cells.
    `refund_of` names the payment that a refund row takes back.
    Lines of settlements have a `line_id` that stays the same in every download. `settled` is the
    net that reached the bank under `utr`; `credit` and `debit` are what a line paid out or took,
    which its amount, `fee` and `tax` must explain.
    """

    name: str
    columns: Mapping[str, Column]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """Status text, in `canonical` form, to outcome."""
    reason_codes: Mapping[str, Outcome] = field(default_factory=dict)
    """Two-digit reason code to outcome, where a code decides or refines the status."""
    reasons_speak: bool = True
    """Whether a reason, where one is stated, is one for which no money came."""
    default_outcome: Outcome | None = None
    """The outcome of every row of a layout without a status column."""
    row_types: Mapping[str, Outcome | None] = field(default_factory=dict)
    """Values of `row_type`: None means a payment row whose status decides. What is FAILED here,
    as an adjustment, speaks of no payment."""
    loan_tags: tuple[str, ...] = ()
    """Keys in `tag_n` whose value in `tagged_n` may hold the loan."""
    unit: str | None = None
    """The unit of amounts where the layout fixes it; else the source's."""
    section: str = ""
    """The table stands below a line, or in a sheet, whose `canonical` text holds this."""

    @property
    def presents(self) -> bool:
        """Whether a row may state a mandate's day of presentation."""
        return "presentation_date" in self.columns


RUPEES, PAISE = "rupees", "paise"
DAY_FIRST = (
    "%d/%m/%Y", "%d-%m-%Y", "%d-%b-%Y", "%d-%b-%y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%Y", "%d.%m.%y",
)  # fmt: skip
ISO = ("%Y-%m-%d", "%Y/%m/%d")
"""Date cells of a sheet are read in these too, so every date column that may come as XLSX
declares them. A time may stand behind each."""


def _words(outcome: Outcome, words: str) -> dict[str, Outcome]:
    return dict.fromkeys(words.split(), outcome)


# Banks (RBL, HDFC, ICICI), Digio, LotusPay and NPCI. A word that may mean less than that the money
# came, as `processed` or `approved`, is not among the successes.
NACH_OUTCOMES: dict[str, Outcome] = {
    **{text: Outcome(nach.CODES[code][0]) for text, code in nach.CODE_OF_TEXT.items()},
    **_words(
        Outcome.SUCCESS,
        "success successful paid accepted paymentsuccess paymentsuccessful 1 confirmed cleared "
        "clear realised realized honoured honored settled credited collected debitsuccess "
        "debitsuccessful transactionsuccess transactionsuccessful txnsuccess txnsuccessful succ",
    ),
    **_words(
        Outcome.RETURN,
        "bounce bounced return returned failed failure fail paymentfailed debitfailed unpaid "
        "notpaid dishonour dishonoured dishonor dishonored transactionfailed txnfailed "
        "unsuccessful uncleared unrealised notrealised inwardreturn",
    ),
    **_words(Outcome.REJECT, "reject rejected cancelled canceled rjct paymentcancelled"),
    **_words(
        Outcome.PENDING,
        "bankextended extended extension pending submitted presented initiated inprocess "
        "inprogress processing queued scheduled awaited senttobank responseawaited "
        "paymentpending paymentinitiated pendingsubmission pdng underprocess",
    ),
    **_words(Outcome.LATE_RETURN, "latereturn latereturned reversed reversal chargeback"),
}
NACH_REASON_CODES = {code: Outcome(word) for code, (word, _) in nach.CODES.items()}


def _nach(name: str, *, payment_id: tuple[str, ...] = ()) -> Layout:
    """The columns that NACH aggregators, sponsor banks and lenders share."""
    columns = {
        "loan_ref": Column(
            (
                "Loan Account Number",
                "Loan Account No",
                "Loan Number",
                "Loan Id",
                "Loan No",
                "LAN",
                "Loan Ref No",
                "CRN",
                "loan_ref",
            ),
            required=True,
        ),
        "amount": Column(
            ("Amount", "Presented Amount", "Transaction Amount", "Txn Amount", "Debit Amount"),
            required=True,
        ),
        "presentation_date": Column(
            ("Presentation Date", "Charge Date", "Trigger Date"), date_formats=DAY_FIRST + ISO
        ),
        "payment_date": Column(
            ("Settlement Date", "Value Date", "Credit Date", "Settled On"),
            required=True,
            unless="presentation_date",
            date_formats=DAY_FIRST + ISO,
        ),
        "status": Column(
            (
                "Status",
                "Current Status",
                "Response Status",
                "Transaction Status",
                "Txn Status",
                "Payment Status",
                "Debit Status",
            ),
            required=True,
        ),
        "flag": Column(("Response Flag",)),
        "reason_code": Column(
            ("Return Reason Code", "Reason Code", "Response Code", "Return Code")
        ),
        "reason_text": Column(("Return Reason", "Reason", "Response Description")),
        "umrn": Column(("UMRN", "Mandate UMRN")),
        "utr": Column(("UTR / Txn Ref", "UTR", "UTR No")),
    }
    if payment_id:
        columns["payment_id"] = Column(payment_id)
    return Layout(name, columns, NACH_OUTCOMES, NACH_REASON_CODES)


NACH = _nach("nach")
NACH_WITH_REFERENCE = _nach(
    "nach with presentation reference",
    payment_id=("Presentation Reference", "Txn Reference", "txn_ref_id", "Transaction Reference"),
)

# NPCI's fixed width response file, whose slices `ach_debit` names. Its flag alone says that a debit
# was accepted: code 00 under a flag that is blank, or another than 1, makes no success.
ACH_DEBIT = Layout(
    "npci ach debit",
    {
        "loan_ref": Column(("Transaction Reference",), required=True),
        "amount": Column(("Amount in Paise",), required=True),
        "payment_date": Column(("Settlement Date",), required=True, date_formats=("%d%m%Y",)),
        "status": Column(("Flag",), required=True),
        "reason_code": Column(("Reason Code",), required=True),
        "umrn": Column(("UMRN",), required=True),
    },
    NACH_OUTCOMES,
    {code: outcome for code, outcome in NACH_REASON_CODES.items() if code != "00"},
    unit=PAISE,
)

DMI_COLLECTION_UPDATE = Layout(
    "collection update",
    {
        "loan_ref": Column(("Application ID", "Loan Id"), required=True),
        "amount": Column(("Received Amt", "Received Amount"), required=True),
        "payment_date": Column(
            ("Payment Collected Date",), required=True, date_formats=DAY_FIRST + ISO
        ),
        "status": Column(("Status",), required=True),
        "reason_text": Column(("Bounce Reason",)),
        "payment_id": Column(("Unique Token No",)),
        "umrn": Column(("UMRN",)),
        "utr": Column(("Reference",)),
        "method": Column(("Mode of Payment",)),
    },
    {
        "clear": Outcome.SUCCESS,
        "cleared": Outcome.SUCCESS,
        "bounce": Outcome.RETURN,
        "bounced": Outcome.RETURN,
        "pending": Outcome.PENDING,
    },
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
    {
        "success": Outcome.SUCCESS,
        "paid": Outcome.SUCCESS,
        "failed": Outcome.FAILED,
        "pending": Outcome.PENDING,
    },
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
