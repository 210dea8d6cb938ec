"""What Razorpay and Cashfree send: where a loan id stands, and the layouts of their reports.

What belongs here: names and words of the two gateways. What does not: what a layout is and those
of banks and lenders (`layouts`), which lender uses which gateway (`registry`), what their webhooks
mean (dbt's provider macros).
"""

from repayment_platform.sources.layouts import ISO, Column, Layout, Outcome

RAZORPAY_DATES = ("%d/%m/%Y", "%d-%m-%Y", *ISO)
RAZORPAY_PAYMENT_ID = r"pay_[A-Za-z0-9]+"
LOAN_KEYS = ("loan_id", "loan_account_number", "loanId")
"""Under which merchants keep the loan in the notes or tags that a gateway passes on."""

# First what was made for the one payment, then what is paid to again and again, then free texts.
# All must agree; the first is told as the place.
_RAZORPAY_NOTES = (
    "payment",
    "order",
    "payment_link",
    "invoice",
    "virtual_account",
    "qr_code",
    "subscription",
)
RAZORPAY_LOAN_ID_IN = (
    *(f"{entity}.entity.notes.{key}" for entity in _RAZORPAY_NOTES for key in LOAN_KEYS),
    "payment_link.entity.reference_id",
    "order.entity.receipt",
    "invoice.entity.receipt",
    "virtual_account.entity.description",
)
CASHFREE_LOAN_ID_IN = (
    *(f"order.order_tags.{key}" for key in LOAN_KEYS),
    *(f"link_notes.{key}" for key in LOAN_KEYS),
    *(f"subscription_details.subscription_tags.{key}" for key in LOAN_KEYS),
    "subscription_id",
    "order.order_id",
    "link_id",
    "payment_id",
    "payment_remarks",
)
# It names who pays, and only where merchants number customers by loan, which loan.
CASHFREE_LOAN_ID_WEAKLY_IN = ("customer_details.customer_id",)

RAZORPAY_PAYMENTS_REPORT = Layout(
    "razorpay payments report",
    {
        "payment_id": Column(("id", "Payment ID"), required=True, pattern=RAZORPAY_PAYMENT_ID),
        "amount": Column(("amount",), required=True),
        "refunded": Column(("amount_refunded",)),
        "currency": Column(("currency",)),
        "status": Column(("status",), required=True),
        "payment_date": Column(("created_at",), required=True, date_formats=RAZORPAY_DATES),
        "loan_ref": Column(("notes",), required=True, json_keys=LOAN_KEYS),
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
        "line_id": Column(("entity_id",)),
        "payment_id": Column(("entity_id",), required=True, pattern=RAZORPAY_PAYMENT_ID),
        "refund_of": Column(("payment_id",), pattern=RAZORPAY_PAYMENT_ID),
        "amount": Column(("amount",), required=True),
        "currency": Column(("currency",)),
        "payment_date": Column(
            ("payment_captured_at", "entity_created_at", "created_at"),
            required=True,
            first_wins=True,
            date_formats=RAZORPAY_DATES,
        ),
        "payment_date_else": Column(("entity_created_at",), date_formats=RAZORPAY_DATES),
        "loan_ref": Column(("payment_notes", "notes"), json_keys=LOAN_KEYS),
        "loan_ref_else": Column(("order_receipt",)),
        "method": Column(("payment_method", "method")),
        "utr": Column(("settlement_utr",)),
        "settlement_id": Column(("settlement_id",)),
        "settlement_date": Column(("settled_at",), date_formats=RAZORPAY_DATES),
        "fee": Column(("fee (exclusive tax)", "fee")),
        "tax": Column(("tax",)),
        "credit": Column(("credit",)),
        "debit": Column(("debit",)),
    },
    default_outcome=Outcome.SUCCESS,
    row_types={"payment": None, "refund": Outcome.REFUND, "adjustment": Outcome.FAILED},
)

# Two tables in one file: the settlements, and below a line of its own what each consists of.
# A row's own time is Event Time: of a payment when it was made, as its webhook says too, of a
# refund when that was. Transaction Time is that of the payment in either.
CASHFREE_SETTLEMENT_RECON = Layout(
    "cashfree settlement recon",
    {
        "row_type": Column(("Event Type",), required=True),
        "line_id": Column(("Event Id",), required=True),
        "payment_id": Column(("CashFree Reference Id",), required=True),
        # As cashfree_payments (dbt) has it: of a payment link every report knows the order.
        "payment_order": Column(("Merchant Reference Id",), pattern="CFPay_.+"),
        "amount": Column(("Event Amount",), required=True),
        "currency": Column(("Event Currency",)),
        "settled": Column(("Event Settlement Amount",), required=True),
        "payment_date": Column(("Event Time",), required=True, date_formats=ISO),
        "status": Column(("Status",), required=True),
        "reason_code": Column(("Event Type",)),
        "reason_text": Column(("Adjustment Remarks",)),
        "loan_ref": Column(("Merchant Reference Id",), required=True),
        **{f"tag_{n}": Column((f"Key_{n}",)) for n in range(1, 11)},
        **{f"tagged_{n}": Column((f"Value_{n}",)) for n in range(1, 11)},
        "method": Column(("Payment Mode",)),
        "utr": Column(("UTR",), required=True),
        "settlement_date": Column(("Settlement Date",), date_formats=ISO),
    },
    {
        "success": Outcome.SUCCESS,
        "pending": Outcome.PENDING,
        "failed": Outcome.FAILED,
        "cancelled": Outcome.FAILED,
    },
    row_types={
        "payment": None,
        "refund": Outcome.REFUND,
        "chargeback": Outcome.LATE_RETURN,
        "dispute": Outcome.LATE_RETURN,
        **dict.fromkeys(
            ("chargebackreverse", "disputereverse", "risk", "riskreverse", "otheradjustment"),
            Outcome.FAILED,
        ),
    },
    reasons_speak=False,
    loan_tags=LOAN_KEYS,
    section="Reconciliation Details",
)
