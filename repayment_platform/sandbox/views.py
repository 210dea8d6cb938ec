"""Resources as Fineract prints them: loans, transactions, payment types.

What belongs here: shapes of GET answers. What does not: finding the rows (`loans`, `ledger`).

The sandbox knows neither instalments nor interest: what a loan says of them is made up, in
`loan_terms.json` and here, so that its keys are there.
"""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from repayment_platform.sandbox.bookings import DIGITS
from repayment_platform.sandbox.ledger import Loan, Transaction
from repayment_platform.sandbox.loans import PAYMENT_TYPES
from repayment_platform.sandbox.validation import PAYMENT_DETAILS

View = dict[str, Any]

_MADE_UP: dict[str, View] = json.loads(Path(__file__).with_name("loan_terms.json").read_text())
_TERM = timedelta(days=365)

TRANSACTION_FIELDS = frozenset(_MADE_UP["fields"]["transaction"])
LOAN_FIELDS = frozenset(_MADE_UP["fields"]["loan"])
"""What `?fields=` leaves out unless it is asked for; the rest is always shown."""

_CURRENCIES = {
    "INR": ("Indian Rupee", "₹"),
    "USD": ("US Dollar", "$"),
    "JPY": ("Japanese Yen", "¥"),
    "KWD": ("Kuwaiti Dinar", "KD"),
}
_STATUSES = {
    100: ("submitted.and.pending.approval", "Submitted and pending approval"),
    200: ("approved", "Approved"),
    300: ("active", "Active"),
    303: ("transfer.in.progress", "Transfer in progress"),
    304: ("transfer.on.hold", "Transfer on hold"),
    400: ("withdrawn.by.client", "Withdrawn by applicant"),
    500: ("rejected", "Rejected"),
    600: ("closed.obligations.met", "Closed (obligations met)"),
    601: ("closed.written.off", "Closed (written off)"),
    602: ("closed.reschedule.outstanding.amount", "Closed (rescheduled)"),
    700: ("overpaid", "Overpaid"),
}
STATUS_IDS = frozenset(_STATUSES)

_TYPE_FLAGS = (
    "disbursement repaymentAtDisbursement repayment merchantIssuedRefund payoutRefund"
    " goodwillCredit interestPaymentWaiver chargeRefund contra waiveInterest waiveCharges accrual"
    " writeOff recoveryRepayment initiateTransfer approveTransfer withdrawTransfer rejectTransfer"
    " chargePayment refund refundForActiveLoans creditBalanceRefund chargeAdjustment chargeback"
    " chargeoff downPayment reAge reAmortize accrualActivity interestRefund"
    " accrualAdjustment capitalizedIncome capitalizedIncomeAmortization capitalizedIncomeAdjustment"
    " capitalizedIncomeAmortizationAdjustment contractTermination buyDownFee buyDownFeeAdjustment"
    " buyDownFeeAmortization buyDownFeeAmortizationAdjustment"
)


def _type(number: int, name: str) -> View:
    view: View = {
        "id": number,
        "code": f"loanTransactionType.{name}",
        "value": name.capitalize(),
    }
    return view | {flag: flag == name for flag in _TYPE_FLAGS.split()}


REPAYMENT, _DISBURSEMENT = _type(2, "repayment"), _type(1, "disbursement")
_UNDISBURSED = frozenset({100, 200, 400, 500})
_DISBURSEMENT_IDS = 1_000_000_000
"""Added to a loan's id. A disbursement is shown among the transactions and has no row."""


def transaction_views(rows: list[Transaction], loan: Loan) -> list[View]:
    """What a loan's list shows: its disbursement, then repayments. There are no accruals."""
    repayments = [transaction_view(row, loan) for row in rows]
    return repayments if loan.status in _UNDISBURSED else [_disbursement(loan), *repayments]


def _disbursement(loan: Loan) -> View:
    row = Transaction(
        id=_DISBURSEMENT_IDS + loan.id,
        loan_id=loan.id,
        external_id=None,
        date=loan.disbursed_on,
        amount=loan.principal,
        principal_portion=loan.principal,
        balance=loan.principal,
        submitted_on=loan.disbursed_on,
        payment_detail=None,
        reversed_on=None,
        manually_reversed=False,
        reversal_external_id=None,
        replays=[],
        request_id=None,
    )
    return transaction_view(row, loan) | {"type": _DISBURSEMENT, "principalPortion": 0}


def transaction_view(row: Transaction, loan: Loan) -> View:
    view: View = {
        "id": row.id,
        "loanId": loan.id,
        "externalLoanId": loan.external_id,
        "officeId": 1,
        "officeName": "Head Office",
        "type": REPAYMENT,
        "date": row.date,
        "currency": _currency(loan.currency),
        "paymentDetailData": _payment_detail(row),
        "amount": _money(row.amount),
        "netDisbursalAmount": _money(loan.principal),
        "principalPortion": _money(row.principal_portion),
        "interestPortion": 0,
        "feeChargesPortion": 0,
        "penaltyChargesPortion": 0,
        "overpaymentPortion": _money(row.amount - row.principal_portion),
        "unrecognizedIncomePortion": 0,
        "externalId": row.external_id,
        "outstandingLoanBalance": _money(max(row.balance, Decimal(0))),
        "submittedOnDate": row.submitted_on,
        "manuallyReversed": row.manually_reversed,
        "reversalExternalId": row.reversal_external_id,
        "reversedOnDate": row.reversed_on,
        "loanChargePaidByList": [],
        "transactionRelations": _relations(row),
    }
    return _without_nulls(view)


def loan_view(
    loan: Loan, transactions: list[Transaction] | None, undone: Decimal = Decimal(0)
) -> View:
    """`transactions` None: the association was not asked for; `undone` is a sum."""
    owed = max(loan.balance, Decimal(0))
    view: View = {
        "id": loan.id,
        "accountNo": f"{loan.id:09d}",
        "externalId": loan.external_id,
        "status": _status(loan.status),
        "clientId": loan.id,
        "clientAccountNo": f"{loan.id:09d}",
        "clientName": f"Client {loan.id}",
        "clientOfficeId": 1,
        "currency": _currency(loan.currency),
        **dict.fromkeys(
            ("principal", "approvedPrincipal", "proposedPrincipal", "netDisbursalAmount"),
            _money(loan.principal),
        ),
        **_MADE_UP["terms"],
        **_MADE_UP["schedules"][loan.schedule],
        **_recalculation(loan),
        "timeline": _timeline(loan),
        "summary": _summary(loan, owed, undone),
        "inArrears": owed > 0,
        "transactions": None if transactions is None else transaction_views(transactions, loan),
        "totalOverpaid": _money(-loan.balance) if loan.balance < 0 else None,
        "overpaidOnDate": loan.settled_on if loan.status == 700 else None,
    }
    return _without_nulls(view)


def _recalculation(loan: Loan) -> View:
    if loan.schedule == "cumulative":
        return {}
    terms = _MADE_UP["recalculation"] | {"id": loan.id, "loanId": loan.id}
    return {"interestRecalculationData": terms}


def _timeline(loan: Loan) -> View:
    matures = loan.disbursed_on + _TERM
    view = _MADE_UP["timeline"] | {
        "submittedOnDate": loan.disbursed_on,
        "approvedOnDate": loan.disbursed_on,
        "expectedDisbursementDate": loan.disbursed_on,
        "actualDisbursementDate": loan.disbursed_on,
        "expectedMaturityDate": matures,
        "actualMaturityDate": matures if loan.balance > 0 else None,
        "closedOnDate": loan.settled_on if loan.status == 600 else None,
    }
    return _without_nulls(view)


def _summary(loan: Loan, owed: Decimal, undone: Decimal) -> View:
    return _MADE_UP["summary"] | {
        "currency": _currency(loan.currency),
        "totalPrincipal": _money(loan.principal),
        "principalDisbursed": _money(loan.principal),
        "principalPaid": _money(loan.principal - owed),
        "principalOutstanding": _money(owed),
        "totalExpectedRepayment": _money(loan.principal),
        "totalRepayment": _money(loan.principal - owed),
        "totalOutstanding": _money(owed),
        "totalRepaymentTransaction": _money(loan.principal - loan.balance),
        "totalRepaymentTransactionReversed": _money(undone),
    }


def payment_types_view() -> list[View]:
    return [
        {"id": number, "name": name, "isSystemDefined": False, "position": number}
        for number, name in PAYMENT_TYPES.items()
    ]


def _without_nulls(view: View) -> View:
    return {key: value for key, value in view.items() if value is not None}


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.000001"))


def _currency(code: str) -> View:
    name, symbol = _CURRENCIES[code]
    return {
        "code": code,
        "name": name,
        "decimalPlaces": DIGITS[code],
        "inMultiplesOf": 0,
        "displaySymbol": symbol,
        "nameCode": f"currency.{code}",
        "displayLabel": f"{name} ({symbol})",
    }


def _payment_detail(row: Transaction) -> View | None:
    """Carries the transaction's id as its own."""
    if row.payment_detail is None:
        return None
    number = row.payment_detail["paymentType"]
    kind = {"id": number, "name": PAYMENT_TYPES[number]}
    blank = dict.fromkeys(PAYMENT_DETAILS, "")
    return {"id": row.id} | blank | row.payment_detail | {"paymentType": kind}


def _relations(row: Transaction) -> list[View]:
    return [
        {
            "fromLoanTransaction": row.id,
            "toLoanTransaction": replayed,
            "relationType": "REPLAYED",
            "amount": _money(row.amount),
        }
        for replayed in row.replays
    ]


def _status(status: int) -> View:
    code, value = _STATUSES[status]
    return {
        "id": status,
        "code": f"loanStatusType.{code}",
        "value": value,
        "pendingApproval": status == 100,
        "waitingForDisbursal": status == 200,
        "active": status == 300,
        "closedObligationsMet": status == 600,
        "closedWrittenOff": status == 601,
        "closedRescheduled": status == 602,
        "closed": status in (600, 601, 602),
        "overpaid": status == 700,
    }
