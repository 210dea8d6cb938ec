"""What goes back over the wire when it is not a plain resource: replies and error shapes.

What belongs here: JSON as Fineract prints it and its error bodies. What does not: deciding which
error a request deserves (`validation`, `loans`, `commands`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

Item = dict[str, Any]
REALM = {"WWW-Authenticate": 'Basic realm="Fineract Platform API"'}


def to_json(value: object) -> str:
    """JSON with Decimals as numbers in their own scale (125.500000) and dates as [y, m, d]."""
    if isinstance(value, dict):
        return "{" + ",".join(f'"{key}":{to_json(part)}' for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return f"[{value.year},{value.month},{value.day}]"
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; `content_type` None sends no such header, as the COB filter does."""

    status: int
    body: str
    content_type: str | None = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class FineractError(Exception):
    """A refusal that Fineract answers with JSON."""

    def __init__(self, status: int, body: Item) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body

    def reply(self) -> Reply:
        return Reply(self.status, to_json(self.body))


def item(code: str, message: str, parameter: str | None = "id", *args: object) -> Item:
    """One entry of `errors`. What is null is left out, so an argument may be `{}`."""
    printed = [arg.isoformat() if isinstance(arg, date) else arg for arg in args]
    entry: Item = {
        "developerMessage": message,
        "defaultUserMessage": message,
        "userMessageGlobalisationCode": code,
    }
    named = entry if parameter is None else entry | {"parameterName": parameter}
    return named | {"args": [{} if arg is None else {"value": arg} for arg in printed]}


def _global(
    status: int, code: str, developer: str, user: str, errors: list[Item] | None
) -> FineractError:
    body: Item = {
        "developerMessage": developer,
        "httpStatusCode": str(status),
        "defaultUserMessage": user,
        "userMessageGlobalisationCode": code,
    }
    return FineractError(status, body if errors is None else body | {"errors": errors})


def invalid(*errors: Item) -> FineractError:
    developer = (
        "The request was invalid. This typically will happen due to validation errors "
        "which are provided."
    )
    code = "validation.msg.validation.errors.exist"
    return _global(400, code, developer, "Validation errors exist.", list(errors))


def unsupported_command(command: str | None) -> FineractError:
    message = f"The query parameter command has an unsupported value of: {command}"
    code = "error.msg.query.parameter.value.unsupported"
    return invalid(item(code, message, "command", command, []))


def not_found(code: str, message: str, *args: object) -> FineractError:
    text = "The requested resource is not available."
    errors = [item(code, message, "id", *args)]
    return _global(404, "error.msg.resource.not.found", text, text, errors)


def domain_rule(code: str, message: str, *args: object) -> FineractError:
    return _global(
        403,
        "validation.msg.domain.rule.violation",
        "Request was understood but caused a domain rule violation.",
        "Errors contain reason for domain rule violation.",
        [item(code, message, "id", *args)],
    )


def data_integrity(
    code: str, message: str, parameter: str | None = None, *args: object
) -> FineractError:
    errors = [item(code, message, parameter, *args)]
    developer = "The request caused a data integrity issue to be fired by the database."
    return _global(403, code, developer, message, errors)


def not_authorized(permission: str) -> FineractError:
    code = "error.msg.not.authorized"
    developer = (
        "The user associated with credentials passed on this request does not have "
        "sufficient privileges to perform this action."
    )
    errors = [item(code, f"User has no authority to: {permission}")]
    user = "Insufficient privileges to perform this action."
    return _global(403, code, developer, user, errors)


def not_authenticated() -> FineractError:
    """A user name or password that is wrong in a body, not in the header."""
    code, message = "error.msg.not.authenticated", "Unauthenticated. Please login."
    return _global(401, code, message, message, [])


def lock_conflict() -> FineractError:
    message = (
        "The server is currently unable to handle the request due to concurrent modification "
        " on lock, please try again"
    )
    return _global(409, "error.msg.platform.service.lock.conflict", message, message, None)


def job_running(job: str) -> FineractError:
    message = (
        f"Execution is in-process for jobs {job}...., "
        "so update operations are not allowed at this moment"
    )
    text = "The server is currently unable to handle the request , please try after some time."
    errors = [item("error.msg.sheduler.job.currently.running", message, "id", job)]
    return _global(503, "error.msg.platform.service.unavailable", text, text, errors)


def malformed_json() -> FineractError:
    """Invalid or empty JSON: the bare item, without the usual wrapper."""
    message = "The JSON provided in the body of the request is invalid or missing."
    return FineractError(400, item("error.msg.invalid.request.body", message))


def server_error(message: str) -> FineractError:
    """What the last-resort mapper prints."""
    return FineractError(500, {"Exception": message})


def loan_locked(loan_id: int) -> Reply:
    """Written straight by the COB filter: no Content-Type and no `errors` key."""
    message = f"Loan is locked by the COB job. Loan ID: {loan_id}"
    body = {
        "developerMessage": message,
        "httpStatusCode": "409",
        "defaultUserMessage": message,
        "userMessageGlobalisationCode": "error.msg.loan.locked",
    }
    return Reply(409, to_json(body), content_type=None)


def servlet_error(status: int, path: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Refused before Fineract's own code runs: Spring Boot's error body."""
    body = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "status": status,
        "error": HTTPStatus(status).phrase,
        "path": path,
    }
    return Reply(status, to_json(body), headers=headers or {})


def gateway_page(status: int, headers: Mapping[str, str] | None = None) -> Reply:
    """What a proxy in front of Fineract says: an HTML page."""
    title = f"{status} {HTTPStatus(status).phrase}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n"
        f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status, body, content_type="text/html", headers=headers or {})
