"""What became of a payment, from the words and codes of its row.

What belongs here: weighing row type, status, flag and reasons against each other. What does not:
the vocabularies (`layouts`, `nach`), finding the cells (`evidence`, `rows`).
"""

import re

from repayment_platform.sources import nach
from repayment_platform.sources.layouts import Layout, Outcome, canonical
from repayment_platform.sources.refusals import BadValue, RowReason

_NO_REASON = frozenset(
    [
        "na",
        "nil",
        "none",
        "null",
        "nan",
        "no",
        "n",
        "false",
        "notapplicable",
        "noreason",
        "noerror",
        "norejection",
        "noreturn",
        "0",
        "00",
        "000",
        "noreasonrequired",
    ]
)
_SUCCESS_WORDS = frozenset(
    [
        "success",
        "successful",
        "successfully",
        "accepted",
        "paid",
        "cleared",
        "clear",
        "realised",
        "realized",
        "honoured",
        "honored",
        "credited",
        "collected",
        "settled",
        "processed",
        "completed",
        "approved",
        "ok",
        "debited",
        "confirmed",
        "received",
    ]
)
_BESIDE_SUCCESS = frozenset(
    [
        "transaction",
        "txn",
        "trxn",
        "payment",
        "debit",
        "nach",
        "ach",
        "ecs",
        "emi",
        "item",
        "mandate",
        "presentation",
        "instalment",
        "installment",
        "amount",
        "is",
        "was",
        "has",
        "been",
        "the",
        "and",
        "by",
        "bank",
        "customer",
        "account",
        "in",
        "of",
        "at",
        "with",
        "status",
        "code",
        "0",
        "00",
        "000",
        "1",
    ]
)
_NOT_PAID = (Outcome.RETURN, Outcome.REJECT, Outcome.FAILED)
_FLAGS = {"1": Outcome.SUCCESS, "0": Outcome.RETURN, "2": Outcome.REJECT, "3": Outcome.PENDING}
"""NPCI's response flag."""


def denies(reason: str) -> bool:
    """Whether a reason says that no money came. Only a word for none, and a text of nothing but
    words of success, do not."""
    if canonical(reason) in _NO_REASON or not any(map(str.isalnum, reason)):
        return False
    return not _tells_success(reason)


def _tells_success(text: str) -> bool:
    words = re.findall(r"[^\W_]+", text.lower())
    return bool(_SUCCESS_WORDS.intersection(words)) and (
        _SUCCESS_WORDS.union(_BESIDE_SUCCESS).issuperset(words)
    )


def resolve_outcome(
    layout: Layout,
    row_type: str | None,
    status: str | None,
    code: str | None,
    reason: str | None,
    flag: str | None = None,
    denial: str | None = None,
) -> Outcome:
    """The outcome of a row whose cells say this; `code` is a `reason_code`, None if none, and
    `denial` what another column says against a success.

    A refund or the like is what its row type says, unless its status says that it failed.
    A status, a flag and a reason code must agree on whether money came; where all say that it did
    not, the code is the more exact. Nothing becomes a success that is not named as one, nor one
    for which a reason is stated.

    Raises:
        BadValue: UNSUPPORTED_ROW_TYPE, MISSING_VALUE, UNKNOWN_VALUE or CONTRADICTORY_STATUS.
    """
    if layout.row_types:
        kind = canonical(row_type or "")
        if kind not in layout.row_types:
            raise BadValue(RowReason.UNSUPPORTED_ROW_TYPE, f"row type {row_type!r} is not known")
        if (fixed := layout.row_types[kind]) is not None:
            return Outcome.FAILED if outcome_of(layout, status) is Outcome.FAILED else fixed
    if layout.default_outcome is not None:
        return layout.default_outcome
    outcome = _weighed(layout, status, code, reason)
    stated = (code, reason) if layout.reasons_speak else ()
    if against := _speaks_against(outcome, stated, flag, denial):
        raise _contradiction(f"status {status!r} contradicts {against}")
    return outcome


def _speaks_against(
    outcome: Outcome, reasons: tuple[str | None, ...], flag: str | None, denial: str | None
) -> str | None:
    """What of the rest of the row cannot be true if this outcome is; None where nothing is."""
    if flag is not None:
        by_flag = _FLAGS.get(flag.removesuffix(".0"))
        if (by_flag is Outcome.SUCCESS) != (outcome is Outcome.SUCCESS):
            return f"the response flag {flag}"
    if outcome is Outcome.SUCCESS:
        if denial is not None:
            return f"{denial!r} in another column"
        return next((f"the reason {each!r}" for each in reasons if each and denies(each)), None)
    if outcome in _NOT_PAID:
        return next(
            (f"the reason {each!r}" for each in reasons if _tells_success(each or "")), None
        )
    return None


def _weighed(layout: Layout, status: str | None, code: str | None, reason: str | None) -> Outcome:
    """The outcome that status and reason code tell together."""
    by_status = outcome_of(layout, status)
    by_code = layout.reason_codes.get(code or "")
    if by_status is None and status and by_code in (None, Outcome.SUCCESS):
        raise BadValue(RowReason.UNKNOWN_VALUE, f"status {status!r} is not known")
    if by_status is None and by_code is None:
        raise BadValue(RowReason.MISSING_VALUE, "neither status nor reason code tells the outcome")
    if by_status is None or by_code is None:
        return by_status or by_code  # type: ignore[return-value]  # one of them is there
    if (by_status is Outcome.SUCCESS) != (by_code is Outcome.SUCCESS):
        raise _contradiction(
            f"status {status!r} contradicts reason code {code} ({reason or 'no text'})"
        )
    return by_status if by_status is Outcome.LATE_RETURN else by_code


def _contradiction(words: str) -> BadValue:
    return BadValue(RowReason.CONTRADICTORY_STATUS, words)


def outcome_of(layout: Layout, status: str | None) -> Outcome | None:
    """What a status alone tells; None where the layout does not know it."""
    known = layout.outcomes.get(canonical(status or ""))
    if known is None and status and layout.reason_codes and not status.isdigit():
        return layout.reason_codes.get(nach.code_in(status) or "")
    return known
