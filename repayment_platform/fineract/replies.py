"""What an answer to a repayment proves.

What belongs here: from a whole HTTP answer to one of the outcomes of `contract`. What does not:
answers to look-ups (`lookups`), answers that never came (`wire`), the codes (`errors`).

The rule everywhere: an outcome that says "not posted" needs a documented proof, success needs
every part of one; all else is `Unknown`.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from repayment_platform.fineract.contract import (
    AwaitingApproval,
    Posted,
    Refused,
    Repayment,
    Reply,
    SystemFault,
    Transient,
    Unknown,
    Unreached,
)
from repayment_platform.fineract.errors import FineractError, Meaning, meaning_of, read_error
from repayment_platform.fineract.wire import Answer

NO_SUCH_PATH = "Fineract's server takes no such loan id in a path"
REFUSED_IN_PATHS = frozenset("/\\;%")
"""Tomcat and Spring's firewall take these in no path by default, however they are quoted."""


def read_reply(answer: Answer, repayment: Repayment, today: date) -> Reply:
    """The outcome of posting `repayment`; `today` is the calendar date in Asia/Kolkata."""
    if answer.from_cache:
        return Unknown(f"HTTP {answer.status} from Fineract's command cache, not for this request")
    if answer.status == 200:
        return _read_success(answer, repayment)
    error = read_error(answer.status, answer.json())
    if error is not None:
        return _read_error(answer.status, error, repayment, today)
    return _read_foreign(answer, repayment)


def _read_success(answer: Answer, repayment: Repayment) -> Reply:
    body = answer.json()
    if answer.content_type != "application/json" or not isinstance(body, Mapping):
        return Unknown("HTTP 200 without Fineract's JSON", server_trouble=True)
    resource_id = body.get("resourceId")
    if body.get("rollbackTransaction") is True and resource_id is None:
        command_id = body.get("commandId")
        return AwaitingApproval(command_id if is_id(command_id) else None)
    if not is_id(resource_id) or body.get("rollbackTransaction"):
        return Unknown("HTTP 200 without a resourceId of a posted transaction")
    if body.get("resourceExternalId") != repayment.external_id:
        return Unknown("HTTP 200 for another resourceExternalId than ours")
    if not _echo_agrees(body.get("changes"), repayment):
        return Unknown("HTTP 200 whose changes are not what was asked")
    return Posted(resource_id)


def is_id(value: Any) -> TypeGuard[int]:
    """Whether a JSON value is an id of Fineract's: a whole number above zero."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _echo_agrees(changes: Any, repayment: Repayment) -> bool:
    """Fineract may leave the echo out; what it does echo are our values as text."""
    if changes is None:
        return True
    if not isinstance(changes, Mapping):
        return False
    try:
        amount = Decimal(str(changes.get("transactionAmount", repayment.amount)))
    except InvalidOperation:
        return False
    day = repayment.transaction_date.isoformat()
    return (
        amount == repayment.amount
        and changes.get("transactionDate", day) == day
        and changes.get("externalId", repayment.external_id) == repayment.external_id
    )


def _read_error(status: int, error: FineractError, repayment: Repayment, today: date) -> Reply:
    known = meaning_of(status, error)
    if known is None:
        return Unknown(
            f"HTTP {status} {error.top_code}, which is not documented", server_trouble=status >= 500
        )
    meaning, code = known
    if meaning is Meaning.FUTURE_DATE:
        ahead = repayment.transaction_date > today
        meaning = Meaning.ROW if ahead else Meaning.LATER
    if meaning is Meaning.DUPLICATE:
        return Unknown(f"{code}: {error.text}", already_there=True)
    if meaning is Meaning.UNLISTED:
        refused = Refused(code, error.text, status)
        return Unknown(f"{code}, which is not documented: {error.text}", refused=refused)
    if meaning is Meaning.SYSTEM:
        return SystemFault(code, error.text)
    if meaning is Meaning.BUSY:
        return Unreached(code, error.text)
    if meaning is Meaning.LATER:
        return Transient(code, error.text)
    return Refused(code, error.text, status)


def _read_foreign(answer: Answer, repayment: Repayment) -> Reply:
    """An answer that Fineract's own code did not write: its servlet container, or a gateway."""
    status = answer.status
    code = f"http.{status}"
    if status == 429:
        return Transient(code, "Too many requests", retry_after_seconds(answer))
    if is_refused_path(answer, repayment.loan_external_id):
        return Refused(code, NO_SUCH_PATH, status)
    fault = foreign_fault(answer)
    if fault is not None:
        return fault
    kind = answer.content_type or "no content type"
    return Unknown(f"HTTP {status} ({kind}) not written by Fineract", server_trouble=True)


def is_refused_path(answer: Answer, loan_external_id: str) -> bool:
    """Whether the server in front of Fineract refuses the loan's id: then nothing of that loan was
    ever applied. One odd id must not look like a fault of the system and stop every run."""
    is_odd = not REFUSED_IN_PATHS.isdisjoint(loan_external_id)
    return (
        is_odd and answer.status in (400, 404) and read_error(answer.status, answer.json()) is None
    )


def foreign_fault(answer: Answer) -> SystemFault | None:
    """A fault of the set-up that shows in the status alone; None where there is none."""
    status = answer.status
    code = f"http.{status}"
    if 300 <= status < 400:
        text = "Fineract's address redirects elsewhere; that is never followed"
        return SystemFault(code, text, is_elsewhere=True)
    if status == 400 and is_servlet_error(answer):
        return SystemFault(code, "Fineract's server refuses the request; is the tenant right?")
    if status == 401:
        return SystemFault(code, "Fineract refuses the user name or the password")
    if status in (404, 405):
        return SystemFault(code, "Fineract's API is not at this address", is_elsewhere=True)
    return None


def is_servlet_error(answer: Answer) -> bool:
    """Refused by a filter before Fineract's own code ran: Spring Boot's JSON or Tomcat's page."""
    if "www-authenticate" in answer.headers:
        return True
    body = answer.json()
    if isinstance(body, Mapping):
        return {"timestamp", "status", "error"} <= body.keys()
    return answer.content_type == "text/html" and b"<title>HTTP Status 4" in answer.body


def retry_after_seconds(answer: Answer) -> float | None:
    """The `Retry-After` header, in seconds or as a date; None where missing or unreadable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
