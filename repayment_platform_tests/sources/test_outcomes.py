"""What became of a payment: status and reason code weighed against each other."""

import pytest

from repayment_platform.sources import nach
from repayment_platform.sources.gateways import RAZORPAY_PAYMENTS_REPORT, RAZORPAY_SETTLEMENT_RECON
from repayment_platform.sources.layouts import (
    DMI_COLLECTION_UPDATE,
    NACH,
    VIVRITI_PAYMENTS,
    Layout,
    Outcome,
)
from repayment_platform.sources.outcomes import resolve_outcome
from repayment_platform.sources.refusals import BadValue, RowReason


def nach_outcome(status: str | None, code: str | None = None, reason: str | None = None) -> Outcome:
    return resolve_outcome(NACH, None, status, nach.code_in(code) or nach.code_in(reason), reason)


@pytest.mark.parametrize(
    ("status", "code", "reason", "outcome"),
    [
        ("SUCCESS", None, None, Outcome.SUCCESS),
        ("Paid", "00", None, Outcome.SUCCESS),
        ("1", "0", None, Outcome.SUCCESS),
        (None, "00", None, Outcome.SUCCESS),
        ("ACCEPTED(1)/0", None, None, Outcome.SUCCESS),
        ("payment_success", None, None, Outcome.SUCCESS),
        ("BOUNCE", "4", "Balance Insufficient", Outcome.RETURN),
        ("BOUNCE", "04", None, Outcome.RETURN),
        ("Failed", "01", None, Outcome.RETURN),
        ("payment_failed", None, "Balance Insufficient / 04", Outcome.RETURN),
        ("REJECTED(0)/21", None, None, Outcome.REJECT),
        ("Failed", "21", None, Outcome.REJECT),
        ("Bounce", None, "Invalid UMRN or Inactive Mandate", Outcome.REJECT),
        ("INVALID UMRN OR INACTIVE MANDATE", None, None, Outcome.REJECT),
        ("Rejected", None, "Record Level Error:Transaction is already processed", Outcome.REJECT),
        ("BANK EXTENDED", "98", None, Outcome.PENDING),
        ("Failed", "98", None, Outcome.PENDING),
        ("Submitted", None, None, Outcome.PENDING),
        ("Reversed", "04", None, Outcome.LATE_RETURN),
        ("something new", "04", None, Outcome.RETURN),
    ],
)
def test_nach_words_and_codes_say_what_became_of_the_debit(
    status: str | None, code: str | None, reason: str | None, outcome: Outcome
) -> None:
    assert nach_outcome(status, code, reason) is outcome


@pytest.mark.parametrize(
    ("status", "code", "why"),
    [
        ("SUCCESS", "04", RowReason.CONTRADICTORY_STATUS),
        ("BOUNCE", "00", RowReason.CONTRADICTORY_STATUS),
        ("something new", None, RowReason.UNKNOWN_VALUE),
        ("something new", "00", RowReason.UNKNOWN_VALUE),
        (None, None, RowReason.MISSING_VALUE),
        (None, "R01", RowReason.MISSING_VALUE),
    ],
)
def test_what_is_not_clear_is_refused(status: str | None, code: str | None, why: RowReason) -> None:
    with pytest.raises(BadValue) as refused:
        nach_outcome(status, code)
    assert refused.value.code is why


def test_returns_bounced_rejects_never_reached_the_bank_and_98_is_open() -> None:
    classes = {code: word for code, (word, _) in nach.CODES.items()}
    returns = [*range(1, 10), *range(11, 18), *range(51, 62), 68, 69, 70]
    rejects = [*range(21, 35), *range(72, 98), 99]
    assert classes == {
        "00": "success",
        **{f"{code:02}": "return" for code in returns},
        **{str(code): "reject" for code in rejects},
        "98": "pending",
    }


def test_a_code_is_two_digits_however_it_is_written() -> None:
    for text in ("4", "04", "4.0", "Balance Insufficient / 04", "balance insufficient"):
        assert nach.code_in(text) == "04", text
    for text in ("", "R04", "104", "no reason", "attempt - 4", "presented 05/04"):
        assert nach.code_in(text) is None, text


def test_the_row_type_decides_before_the_status() -> None:
    assert resolve_outcome(RAZORPAY_SETTLEMENT_RECON, "Refund", None, None, None) is Outcome.REFUND
    assert resolve_outcome(RAZORPAY_SETTLEMENT_RECON, "payment", None, None, None) is (
        Outcome.SUCCESS
    )
    with pytest.raises(BadValue) as refused:
        resolve_outcome(RAZORPAY_SETTLEMENT_RECON, "transfer", None, None, None)
    assert refused.value.code is RowReason.UNSUPPORTED_ROW_TYPE


def test_without_reason_codes_the_status_alone_decides() -> None:
    assert resolve_outcome(VIVRITI_PAYMENTS, None, "Credit", None, None) is Outcome.SUCCESS


NO_REASONS = ["-", "--", "NA", "n/a", "None", "0", "00", "OK", "Success", "Transaction successful",
              "TRANSACTION SUCCESSFUL - 00", "Payment processed successfully", "Debit accepted",
              "accepted by the bank"]  # fmt: skip
REASONS = ["Balance Insufficient", "Insufficient balance in account", "not processed", "R01", "04",
           "Unsuccessful", "account closed", "Refer to drawer bank", "payment not received",
           "खाते में शेष कम", "could not be debited"]  # fmt: skip


@pytest.mark.parametrize("layout", [NACH, DMI_COLLECTION_UPDATE, RAZORPAY_PAYMENTS_REPORT])
def test_a_success_may_state_no_reason_but_success(layout: Layout) -> None:
    word = next(word for word, what in layout.outcomes.items() if what is Outcome.SUCCESS)
    for text in NO_REASONS:
        assert resolve_outcome(layout, None, word, None, text) is Outcome.SUCCESS, text
        assert resolve_outcome(layout, None, word, None, None, denial=None) is Outcome.SUCCESS
    for text in REASONS:
        for said in ({"code": text, "reason": None}, {"code": None, "reason": text}):
            with pytest.raises(BadValue) as refused:
                resolve_outcome(layout, None, word, **said)
            assert refused.value.code is RowReason.CONTRADICTORY_STATUS


def test_a_bounce_whose_reason_is_success_contradicts_itself() -> None:
    with pytest.raises(BadValue) as refused:
        nach_outcome("BOUNCE", None, "Transaction successful")
    assert refused.value.code is RowReason.CONTRADICTORY_STATUS
    assert nach_outcome("Pending", None, "received by the bank") is Outcome.PENDING


@pytest.mark.parametrize(
    ("status", "flag", "agree"),
    [("confirmed", "1", True), ("confirmed", "0", False), ("confirmed", "3", False),
     ("returned", "0", True), ("returned", "1", False), ("extended", "3", True),
     ("Rejected", "2", True), ("confirmed", "Y", False)],
)  # fmt: skip
def test_the_flag_of_npci_and_the_status_agree_on_whether_money_came(
    status: str, flag: str, agree: bool
) -> None:
    if agree:
        resolve_outcome(NACH, None, status, None, None, flag)
        return
    with pytest.raises(BadValue) as refused:
        resolve_outcome(NACH, None, status, None, None, flag)
    assert refused.value.code is RowReason.CONTRADICTORY_STATUS
