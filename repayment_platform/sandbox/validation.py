"""What a repayment or adjustment body must hold, checked in Fineract's order.

What belongs here: the checks that need nothing but the body. What does not: checks against the
ledger (`loans`).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from repayment_platform.sandbox import formats
from repayment_platform.sandbox.replies import FineractError, Item, invalid, item, malformed_json

Body = dict[str, Any]

PAYMENT_DETAILS = ("accountNumber", "checkNumber", "routingCode", "receiptNumber", "bankNumber")
_COMMON = {
    *("transactionDate", "transactionAmount", "externalId", "note", "locale", "dateFormat"),
    *("paymentTypeId", *PAYMENT_DETAILS),
}
REPAYMENT_PARAMETERS = frozenset({*_COMMON, "loanId"})
ADJUSTMENT_PARAMETERS = frozenset({*_COMMON, "reversalExternalId"})


@dataclass(frozen=True)
class Entry:
    """A valid body; `amount` is as sent, not yet rounded to the loan's currency."""

    date: date
    amount: Decimal
    external_id: str | None
    reversal_external_id: str | None
    payment_type: int | None
    details: dict[str, str]
    note: str | None
    changes: dict[str, Any]
    """What the answer echoes: texts as they were sent."""


def parse_object(body: bytes) -> Body | None:
    """The JSON object of a request, numbers exact; None when the body is empty.

    Raises the bare 400 for anything else. An empty body gets the same answer, but only from the
    command itself, so it burns the idempotency key and a malformed one does not.
    """
    if not body.strip():
        return None
    try:
        parsed = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except ValueError:
        raise malformed_json() from None
    if not isinstance(parsed, dict):
        raise malformed_json()
    return parsed


def _no_constant(name: str) -> None:
    raise ValueError(name)


def validate_repayment(body: Body | None) -> Entry:
    return _validate(body, REPAYMENT_PARAMETERS, adjusting=False)


def validate_adjustment(body: Body | None) -> Entry:
    """As a repayment, but an amount of zero means: undo, with nothing in its place."""
    return _validate(body, ADJUSTMENT_PARAMETERS, adjusting=True)


def _validate(body: Body | None, supported: frozenset[str], adjusting: bool) -> Entry:
    if body is None:
        raise malformed_json()
    _refuse_unsupported(body, supported)
    when = _date(body)
    amount = _amount(body)
    payment_type = _integer(body, "paymentTypeId")
    errors = [
        *_amount_errors(when, amount, adjusting),
        *_too_long(body, {"note": 1000, "reversalExternalId": 100}),
        *_payment_type_errors(payment_type),
        *_too_long(body, dict.fromkeys(PAYMENT_DETAILS, 50)),
    ]
    if errors or when is None or amount is None:
        raise invalid(*errors)
    # Without a payment type Fineract drops the other payment details without a word.
    named = PAYMENT_DETAILS if payment_type else ()
    details = {name: text for name in named if (text := _text(body, name))}
    return Entry(
        date=when,
        amount=amount,
        external_id=_text(body, "externalId"),
        reversal_external_id=_text(body, "reversalExternalId"),
        payment_type=payment_type,
        details=details,
        note=_text(body, "note"),
        changes=_changes(body, payment_type, details, adjusting),
    )


def _refuse_unsupported(body: Body, supported: frozenset[str]) -> None:
    unknown = [name for name in body if name not in supported]
    if unknown:
        code = "error.msg.parameter.unsupported"
        raise invalid(
            *(item(code, f"The parameter {name} is not supported.", name) for name in unknown)
        )


def _text(body: Body, name: str) -> str | None:
    """The value as text; blank, null, arrays and objects count as absent."""
    value = body.get(name)
    if value is None or isinstance(value, dict | list):
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if text.strip() else None


def _date(body: Body) -> date | None:
    text = _text(body, "transactionDate")
    if text is None:
        return None
    pattern, locale = _text(body, "dateFormat"), _locale(body)
    if pattern is None or locale is None:
        raise invalid(
            *([] if pattern else [_missing("dateFormat", "transactionDate")]),
            *([] if locale else [_missing("locale", "transactionDate")]),
        )
    try:
        return formats.parse_date(text, pattern)
    except ValueError:
        message = (
            f"The parameter `transactionDate` is invalid based on the dateFormat: `{pattern}` "
            f"and locale: `{locale}` provided:"
        )
        code = "validation.msg.invalid.dateFormat.format"
        raise invalid(item(code, message, "transactionDate", None, pattern)) from None


def _missing(needed: str, parameter: str) -> Item:
    message = f"The parameter `{parameter}` requires a `{needed}` parameter to be passed with it."
    return item(f"validation.msg.missing.{needed}.parameter", message, parameter)


def _locale(body: Body) -> str | None:
    locale = _text(body, "locale")
    if locale is not None and not formats.is_locale(locale):
        message = f"The parameter `locale` has an invalid locale value {locale}"
        raise invalid(item("validation.msg.invalid.locale.format", message, "locale", locale))
    return locale


def _amount(body: Body) -> Decimal | None:
    """A JSON number is exact and needs no locale; a text is read in the locale."""
    value = body.get("transactionAmount")
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    text = _text(body, "transactionAmount")
    return None if text is None else _number(body, "transactionAmount", text, "decimal")


def _integer(body: Body, name: str) -> int | None:
    text = _text(body, name)
    if text is None:
        return None
    number = _number(body, name, text, "integer")
    if number != int(number):
        raise _bad_number(name, text, "integer", str(body.get("locale")))
    return int(number)


def _number(body: Body, name: str, text: str, kind: str) -> Decimal:
    locale = _locale(body)
    if locale is None:
        raise invalid(_missing("locale", name))
    try:
        return formats.parse_decimal(text, locale)
    except ValueError:
        raise _bad_number(name, text, kind, locale) from None


def _bad_number(name: str, text: str, kind: str, locale: str) -> FineractError:
    message = (
        f"The parameter `{name}` has value: {text} which is invalid {kind} value for provided "
        f"locale of [{locale}]."
    )
    return invalid(item(f"validation.msg.invalid.{kind}.format", message, name, text, locale))


def _amount_errors(when: date | None, amount: Decimal | None, zero_allowed: bool) -> Iterable[Item]:
    if when is None:
        yield _field_error("transactionDate", "cannot.be.blank", "is mandatory.", None)
    if amount is None:
        yield _field_error("transactionAmount", "cannot.be.blank", "is mandatory.", None)
    elif zero_allowed and amount < 0:
        yield _field_error("transactionAmount", "not.zero.or.greater", "must be zero or greater.")
    elif not zero_allowed and amount <= 0:
        yield _field_error(
            "transactionAmount", "not.greater.than.zero", "must be greater than 0.", amount, 0
        )


def _payment_type_errors(payment_type: int | None) -> Iterable[Item]:
    if payment_type is not None and payment_type < 1:
        yield _field_error(
            "paymentTypeId", "not.greater.than.zero", "must be greater than 0.", payment_type, 0
        )


def _too_long(body: Body, limits: dict[str, int]) -> Iterable[Item]:
    for name, limit in limits.items():
        text = _text(body, name)
        if text is not None and len(text.strip()) > limit:
            rule = f"exceeds max length of {limit}."
            yield _field_error(name, "exceeds.max.length", rule, limit, text)


def _field_error(name: str, rule: str, words: str, *args: object) -> Item:
    code = f"validation.msg.loan.transaction.{name}.{rule}"
    return item(code, f"The parameter `{name}` {words}", name, *args)


def _changes(
    body: Body, payment_type: int | None, details: dict[str, str], adjusting: bool
) -> dict[str, Any]:
    """An adjustment takes an externalId, but does not name it among its changes."""
    echoed = ("transactionDate", "transactionAmount", "locale", "dateFormat")
    changes: dict[str, Any] = {name: _text(body, name) for name in echoed}
    if payment_type is not None:
        changes["paymentTypeId"] = payment_type
    named = ("note",) if adjusting else ("note", "externalId")
    changes |= {name: text for name in named if (text := _text(body, name))}
    return changes | details
