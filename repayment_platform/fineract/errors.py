"""Fineract's error codes and what each means for a payment: the one table.

What belongs here: documented pairs of HTTP status and code, their meaning, and reading codes
out of an error body. What does not: replies that are no Fineract error (`replies`).

Read in Fineract's source (1.9 to 1.13): every refusal raised by a command carries a general
code at the top and the precise one in `errors`. A pair that is not in the table means nothing;
the caller must then assume that the payment may have been posted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Any

MAX_TEXT = 500
"""Characters of Fineract's words that are kept."""

TRANSACTION_UNKNOWN = "error.msg.loan.transaction.external.id.invalid"
"""No transaction has this external id (the only proof of absence)."""
TRANSACTION_ON_OTHER_LOAN = "error.msg.loan.transaction.id.invalid"
LOAN_UNKNOWN = "error.msg.loan.external.id.invalid"
NOT_FOUND = "error.msg.resource.not.found"
"""At the top of each of these three."""
LOAN_STATE = "error.msg.loan.must.be.active.fully.paid.or.overpaid"
BEFORE_DISBURSEMENT = "error.msg.loan.transaction.cannot.be.before.disbursement.date"
BEFORE_LAST = "error.msg.loan.repayment.or.waiver.cannot.be.made.before.last.transaction.date"
FUTURE_DATE = "error.msg.loan.transaction.cannot.be.a.future.date"
NOT_ACTIVE = "error.msg.*.not.active.exception"
"""The client or group."""


class Meaning(IntEnum):
    """What a code says of the payment. Of several codes in one answer the greatest decides."""

    UNLISTED = 0
    """Refused, it seems, for a reason that is not documented. It proves nothing by itself."""
    ROW = 1
    """Not posted: this payment's own fault."""
    FUTURE_DATE = 2
    """Not posted: the row's fault, or the ledger's business date lags behind the calendar."""
    LATER = 3
    """Not posted: passes by itself."""
    BUSY = 4
    """Not posted: Fineract takes nothing at the moment. Passes by itself."""
    SYSTEM = 5
    """Not posted: no payment would be."""
    DUPLICATE = 6
    """This request was not posted, but an earlier one with this external id seems to have been."""


@dataclass(frozen=True)
class Rule:
    status: int
    code: str
    """Exact, or with `*` for any text."""
    meaning: Meaning


_VALIDATION = "validation.msg.loan.transaction"

RULES: tuple[Rule, ...] = (
    # The external id is in use. PostgreSQL, then MySQL and MariaDB.
    Rule(400, f"{_VALIDATION}.externalId.value.must.be.unique", Meaning.DUPLICATE),
    Rule(403, "error.msg.loan.repayment.duplicate.externalId", Meaning.DUPLICATE),
    # What else makes the database refuse (ids, amounts or keys too long) is refused before
    # sending, so this is a duplicate that Fineract did not recognise: look, do not guess.
    Rule(403, "error.msg*.data.integrity.issue", Meaning.DUPLICATE),
    # Our request itself is not understood.
    Rule(400, "error.msg.invalid.request.body", Meaning.SYSTEM),
    Rule(400, "error.msg.query.parameter.value.unsupported", Meaning.SYSTEM),
    Rule(400, "error.msg.parameter.unsupported", Meaning.SYSTEM),
    Rule(400, "validation.msg.missing.dateFormat.parameter", Meaning.SYSTEM),
    Rule(400, "validation.msg.missing.locale.parameter", Meaning.SYSTEM),
    Rule(400, "validation.msg.invalid.locale.format", Meaning.SYSTEM),
    # We may not, or nobody may.
    Rule(401, "error.msg.not.authenticated", Meaning.SYSTEM),
    Rule(401, "error.msg.invalid.tenant.identifier", Meaning.SYSTEM),
    Rule(403, "error.msg.not.authorized", Meaning.SYSTEM),
    Rule(405, "error.msg.invalid.instance.type", Meaning.SYSTEM),
    # A job of Fineract's own keeps everybody out.
    Rule(503, "error.msg.sheduler.job.currently.running", Meaning.BUSY),  # spelt so
    Rule(503, "error.msg.platform.service.unavailable", Meaning.BUSY),
    # Another writer has the loan.
    Rule(409, "error.msg.platform.service.*.conflict", Meaning.LATER),
    Rule(409, "error.msg.loan.locked", Meaning.LATER),
    # The payment's own fault.
    Rule(403, FUTURE_DATE, Meaning.FUTURE_DATE),
    Rule(404, LOAN_UNKNOWN, Meaning.ROW),
    Rule(404, "error.msg.payment.type.invalid", Meaning.ROW),
    Rule(400, f"{_VALIDATION}.*.cannot.be.blank", Meaning.ROW),
    Rule(400, f"{_VALIDATION}.transactionAmount.not.greater.than.zero", Meaning.ROW),
    Rule(400, f"{_VALIDATION}.*.exceeds.max.length", Meaning.ROW),
    Rule(400, "validation.msg.invalid.dateFormat.format", Meaning.ROW),
    Rule(400, "validation.msg.invalid.decimal.format", Meaning.ROW),
    Rule(400, LOAN_STATE, Meaning.ROW),
    Rule(403, BEFORE_DISBURSEMENT, Meaning.ROW),
    Rule(403, BEFORE_LAST, Meaning.ROW),
    Rule(403, "error.msg.loan.application.repayment.date.on.*", Meaning.ROW),
    Rule(403, NOT_ACTIVE, Meaning.ROW),
    # Families: a refusal of one of these kinds whose precise code is not listed above.
    Rule(400, "validation.msg.validation.errors.exist", Meaning.UNLISTED),
    Rule(403, "validation.msg.domain.rule.violation", Meaning.UNLISTED),
    Rule(404, NOT_FOUND, Meaning.UNLISTED),
)


@dataclass(frozen=True)
class FineractError:
    """An error in Fineract's own JSON."""

    top_code: str
    codes: tuple[str, ...]
    """The precise ones; the top code where there are no others."""
    text: str
    """What Fineract says to its user, cut to `MAX_TEXT`."""


def _meaning_of_code(status: int, code: str) -> Meaning | None:
    for rule in RULES:
        if rule.status == status and fnmatchcase(code, rule.code):
            return rule.meaning
    return None


def meaning_of(status: int, error: FineractError) -> tuple[Meaning, str] | None:
    """What the error means and the code that decided; None where it is not documented."""
    family = _meaning_of_code(status, error.top_code)
    decided = [
        (family if (own := _meaning_of_code(status, code)) is None else own, code)
        for code in error.codes
    ]
    known = [(meaning, code) for meaning, code in decided if meaning is not None]
    if len(known) < len(decided):
        return None
    return max(known, key=lambda pair: pair[0])


def read_error(status: int, body: Any) -> FineractError | None:
    """Fineract's error out of parsed JSON; None where the body is something else.

    Both shapes are read: the general one with a list of `errors` (which may be null or missing)
    and the bare item that stands for unreadable JSON. A status in the body that contradicts the
    HTTP status makes it something else.
    """
    if not isinstance(body, Mapping):
        return None
    top_code = body.get("userMessageGlobalisationCode")
    items = body.get("errors") or []
    if not isinstance(top_code, str) or not top_code or not isinstance(items, list):
        return None
    if not all(isinstance(item, Mapping) for item in items):
        return None
    if str(body.get("httpStatusCode") or status) != str(status):
        return None
    precise = items or [body]
    codes = [item.get("userMessageGlobalisationCode") for item in precise]
    named = tuple(code if isinstance(code, str) and code else top_code for code in codes)
    return FineractError(top_code, named, _text_of(precise))


def _text_of(items: list[Mapping[str, Any]]) -> str:
    said = (item.get("defaultUserMessage") or item.get("developerMessage") for item in items)
    distinct = dict.fromkeys(" ".join(text.split()) for text in said if isinstance(text, str))
    text = "; ".join(filter(None, distinct))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
