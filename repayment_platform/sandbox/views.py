"""Resources as Fineract prints them: loans, transactions, payment types.

What belongs here: shapes of GET answers. What does not: finding the rows (`loans`, `ledger`).
"""

from decimal import Decimal
from typing import Any

from repayment_platform.sandbox.ledger import Loan, Transaction
from repayment_platform.sandbox.loans import DIGITS, PAYMENT_TYPES

View = dict[str, Any]

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
)
_REPAYMENT_TYPE: View = {
    "id": 2,
    "code": "loanTransactionType.repayment",
    "value": "Repayment",
} | {flag: flag == "repayment" for flag in _TYPE_FLAGS.split()}


def transaction_view(row: Transaction, loan: Loan) -> View:
    view: View = {
        "id": row.id,
        "loanId": loan.id,
        "externalLoanId": loan.external_id,
        "officeId": 1,
        "officeName": "Head Office",
        "type": _REPAYMENT_TYPE,
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
        "numberOfRepayments": 0,
        "transactionRelations": _relations(row),
    }
    return _without_nulls(view)


def loan_view(loan: Loan, transactions: list[Transaction] | None) -> View:
    """`transactions` None: the association was not asked for."""
    owed = max(loan.balance, Decimal(0))
    view: View = {
        "id": loan.id,
        "accountNo": f"{loan.id:09d}",
        "externalId": loan.external_id,
        "status": _status(loan.status),
        "clientId": loan.id,
        "clientOfficeId": 1,
        "loanProductId": 1,
        "currency": _currency(loan.currency),
        "principal": _money(loan.principal),
        "timeline": _without_nulls(
            {
                "actualDisbursementDate": loan.disbursed_on,
                "closedOnDate": loan.settled_on if loan.status == 600 else None,
            }
        ),
        "summary": {
            "currency": _currency(loan.currency),
            "principalDisbursed": _money(loan.principal),
            "principalPaid": _money(loan.principal - owed),
            "principalOutstanding": _money(owed),
            "totalOutstanding": _money(owed),
            "totalRepayment": _money(loan.principal - loan.balance),
            "totalRepaymentTransaction": _money(loan.principal - loan.balance),
        },
        "transactions": None
        if transactions is None
        else [transaction_view(row, loan) for row in transactions],
        "totalOverpaid": _money(-loan.balance) if loan.balance < 0 else None,
        "overpaidOnDate": loan.settled_on if loan.status == 700 else None,
    }
    return _without_nulls(view)


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
    kind = {"id": number, "name": PAYMENT_TYPES[number], "isSystemDefined": False}
    return {"id": row.id} | row.payment_detail | {"paymentType": kind}


def _relations(row: Transaction) -> list[View]:
    if row.replays is None:
        return []
    relation = {"fromLoanTransaction": row.id, "toLoanTransaction": row.replays}
    return [relation | {"relationType": "REPLAYED"}]


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
