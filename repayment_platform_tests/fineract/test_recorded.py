"""What the client makes of everything that a running Fineract answered.

Answers to what the client never sends (undos, a checker's decisions, odd bodies) are read as if
they had come to a repayment: whatever comes, nothing that is not proven may count as posted.
"""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import (
    Absent,
    AwaitingApproval,
    Elsewhere,
    Found,
    InvalidRequestError,
    LedgerTransaction,
    Loan,
    LookupFailed,
    Posted,
    Refused,
    Repayment,
    SystemFault,
    Transient,
    Unknown,
    UnknownLoan,
)
from repayment_platform_tests.fineract.conftest import make_client
from repayment_platform_tests.fineract.raw_server import RawServer, http
from repayment_platform_tests.recorded import Recording, recordings

pytestmark = pytest.mark.anyio

RECORDED = recordings()
_ONLY_REPAYMENTS = (
    "error.msg.loan.transaction.adjustment.is.only.allowed.to.repayment.or.waiver"
    ".or.creditbalancerefund.or.capitalizedIncome.or.capitalizedIncomeAdjustment"
    ".or.buyDownFee.or.buyDownFeeAdjustment.transactions"
)
_FIELD = "validation.msg.loan.transaction"

AFTER_POST: dict[str, str] = {
    "posted": """
        repay-ok key-50 no-key closed-overpays external-id-100 extra-note-receipt undo-pay
        adjust-pay undo-wrong-amount back-late back-early key-case cob-unlocked-same-key
        undo-on-closed-loan-pay undo2-pay undo2-pay-b undo2-pay-d undo2-pay-e""",
    "awaiting approval":
        "maker-checker-repayment maker-checker-new-key maker-checker-repayment-2",
    # An old answer, perhaps another request's: proof of nothing.
    "unknown: cached": """
        same-key-same-body same-key-other-amount same-key-other-loan burnt-key-again
        burnt-key-corrected-body undone-same-key-again maker-checker-same-key
        maker-checker-same-key-after-reject undo-same-key""",
    "unknown: already there": """
        dup-external-id-new-key dup-external-id-other-loan undone-external-id-again
        maker-checker-approve-second-of-same key-51 external-id-101 amount-huge
        undo-reversal-external-id-taken""",
    # Posted, some of it, but not what was asked for.
    "unknown: other changes": """
        amount-three-decimals amount-tiny amount-string undo undo-with-reversal-external-id
        undo-on-overpaid-loan undo-with-another-date undo-unknown-parameter""",
    "unknown: other external id":
        "adjust undo-with-amount adjust-after-approve maker-checker-approve",
    "unknown: no resource": "maker-checker-reject maker-checker-undo",
    "refused error.msg.loan.external.id.invalid": "unknown-loan",
    "refused error.msg.payment.type.invalid": "payment-type-unknown",
    "refused error.msg.loan.transaction.cannot.be.a.future.date": "future-date",
    "refused error.msg.loan.transaction.cannot.be.before.disbursement.date": "before-disbursement",
    "refused error.msg.loan.must.be.active.fully.paid.or.overpaid":
        "written-off pending approved rejected withdrawn",
    "refused error.msg.client.not.active.exception": "client-not-active",
    "refused error.msg.loan.repayment.or.waiver.cannot.be.made.before.last.transaction.date":
        "recalculated-before-last",
    f"refused {_FIELD}.transactionAmount.not.greater.than.zero": "amount-zero amount-negative",
    f"refused {_FIELD}.transactionDate.cannot.be.blank": "no-date undo-body-without-date",
    "refused validation.msg.invalid.dateFormat.format": "bad-date",
    # A repayment is not refused for these.
    "unknown: refused error.msg.loan.transaction.external.id.invalid": "undo-of-unknown",
    "unknown: refused error.msg.loan.transaction.id.invalid": "undo-of-another-loans",
    "unknown: refused error.msg.loan.written.off.update.not.allowed": "undo-on-written-off",
    f"unknown: refused {_ONLY_REPAYMENTS}": "undo-again undo-e",
    "later error.msg.loan.locked": "cob-locked undo-cob-locked",
    "later error.msg.loan.transaction.cannot.be.a.future.date":
        "business-date-lags undo-future-date",
    "system http.400": "tenant-wrong-post",
    "system http.401": "bad-password-post no-auth-post",
    "system http.405": "method-put",
    "system error.msg.parameter.unsupported": "unknown-parameter",
    "system error.msg.query.parameter.value.unsupported": "no-command",
    "system error.msg.invalid.request.body": "empty-body bad-json",
    "system error.msg.not.authorized": "no-permission",
}  # fmt: skip

AFTER_LOOKUP: dict[str, str] = {
    "found": """
        lookup-ok lookup-three-decimals lookup-tiny lookup-receipt back-late-lookup-before
        back-late-lookup-after progressive-lookup-replayed""",
    "found, reversed": """
        undo-lookup adjust-lookup undo-with-amount-lookup undo-with-reversal-lookup
        undo2-lookup undo-with-another-date-lookup""",
    "absent": "lookup-after-burnt unknown-transaction case-externalid maker-checker-lookup",
    "elsewhere": "transaction-of-another-loan",
    "loan unknown": "transaction-of-unknown-loan loan-unknown",
    "loan 300, disbursed 2026-06-01": "loan",
    "loan 300, disbursed None": "loan-by-id",  # asked for with `fields`
    "nothing learned, system": "tenant-missing tenant-wrong bad-password wrong-path",
    # The client asks for no list of its own and never with `fields`.
    "nothing learned": "list-endpoint fields cob-locked-get",
}

LISTINGS: dict[str, list[str]] = {
    "loan-overpaid": ["1000.0", "50.0"],
    "undo-listing": ["500.0 undone", "500.0 undone", "450.0", "700.0 undone", "700.0"],
    "back-listing": ["5000.0", "9000.0"],
    "progressive-listing": ["5000.0", "9000.0 undone", "100.0", "200000.0", "100.0"],
}


@pytest.fixture
async def client(raw: RawServer):
    async with make_client(raw.base_url, today=lambda: date(2026, 11, 30)) as client:
        yield client


async def _read(raw: RawServer, client: FineractClient, recording: Recording) -> Any:
    """What the client's own request would have learned from this answer."""
    raw.plays(_response(recording))
    parts = recording.path.partition("?")[0].split("/")
    loan = parts[3] if "external-id" in recording.path else "LN-OTHER"
    if recording.method != "GET":
        return await client.post_repayment(_repayment(recording, loan, parts[6:]), "key")
    if recording.name in LISTINGS:
        return await client.list_transactions(loan)
    if len(parts) > 6:
        return await client.find_transaction(loan, parts[6])
    return await client.get_loan(loan)


def _response(recording: Recording) -> bytes:
    headers = {name.replace("-", "_"): value for name, value in recording.headers.items()}
    kind = headers.pop("content_type", None)
    return http(recording.status, json.dumps(recording.answer), kind, **headers)


def _repayment(recording: Recording, loan: str, named: list[str]) -> Repayment:
    """The one that was sent, or where the client would not send it, one like it."""
    sent = recording.body if isinstance(recording.body, dict) else {}
    external_id = named[0] if named else str(sent.get("externalId", "p"))
    usual = Repayment(loan, external_id[:100], date(2026, 11, 20), Decimal("100.25"))
    try:
        day, amount = date.fromisoformat(sent["transactionDate"]), str(sent["transactionAmount"])
        return Repayment(loan, external_id, day, Decimal(amount))
    except (KeyError, ValueError, ArithmeticError, InvalidRequestError):
        return usual


_PLAIN = {
    Posted: "posted",
    AwaitingApproval: "awaiting approval",
    Absent: "absent",
    Elsewhere: "elsewhere",
    UnknownLoan: "loan unknown",
}


def _meaning(outcome: Any) -> str:
    match outcome:
        case Unknown(refused=Refused(code)):
            return f"unknown: refused {code}"
        case Unknown(why, already_there):
            return f"unknown: {'already there' if already_there else _reason(why)}"
        case Refused(code):
            return f"refused {code}"
        case Transient(code):
            return f"later {code}"
        case SystemFault(code):
            return f"system {code}"
        case Found(transaction):
            return "found, reversed" if transaction.reversed else "found"
        case Loan(_, status, day):
            return f"loan {status}, disbursed {day}"
        case LookupFailed():
            return "nothing learned, system" if outcome.system_fault else "nothing learned"
    return _PLAIN[type(outcome)]


def _reason(why: str) -> str:
    reasons = {
        "cached": "command cache",
        "other changes": "changes are not what was asked",
        "other external id": "another resourceExternalId",
        "no resource": "without a resourceId",
    }
    return next((name for name, words in reasons.items() if words in why), why)


def _table(outcomes: dict[str, str]) -> dict[str, str]:
    return {name: outcome for outcome, names in outcomes.items() for name in names.split()}


MEANINGS = _table(AFTER_POST | AFTER_LOOKUP)


@pytest.mark.parametrize("recording", RECORDED, ids=str)
async def test_each_recorded_answer_means_what_the_table_says(
    raw: RawServer, client: FineractClient, recording: Recording
) -> None:
    outcome = await _read(raw, client, recording)
    if recording.name in LISTINGS:
        assert _listed(outcome) == LISTINGS[recording.name]
        return
    assert _meaning(outcome) == MEANINGS[recording.name]
    if isinstance(outcome, Posted):
        assert outcome == Posted(recording.answer["resourceId"])
    if isinstance(outcome, Found):
        there = outcome.transaction
        assert (there.external_id, there.loan_external_id) == (
            recording.answer["externalId"],
            recording.answer["externalLoanId"],
        )
        assert [there.date.year, there.date.month, there.date.day] == recording.answer["date"]
        assert there.amount == Decimal(str(recording.answer["amount"]))


def _listed(transactions: tuple[LedgerTransaction, ...]) -> list[str]:
    """The repayments, in Fineract's order; disbursement and accruals are none."""
    return [
        f"{one.amount}{' undone' if one.reversed else ''}"
        for one in transactions
        if one.is_repayment
    ]


def test_the_tables_name_every_recording_once() -> None:
    outcomes = [*AFTER_POST.values(), *AFTER_LOOKUP.values()]
    named = [name for names in outcomes for name in names.split()]
    assert sorted([*named, *LISTINGS]) == sorted(recording.name for recording in RECORDED)
