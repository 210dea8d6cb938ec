"""Repayments and Fineract's documented bodies, as the tests use them."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from repayment_platform.fineract.contract import Repayment

TODAY = date(2026, 11, 20)
PASSWORD = SecretStr("sécret-pässword")
KEY = "0123456789abcdef0123456789abcdef"
REPAYMENT = Repayment("LN-1", "pay-1", date(2026, 11, 20), Decimal("125.50"))

SUCCESS: dict[str, Any] = {
    "officeId": 1,
    "clientId": 1,
    "loanId": 1,
    "resourceId": 22,
    "changes": {
        "transactionDate": "2026-11-20",
        "transactionAmount": "125.50",
        "locale": "en",
        "dateFormat": "yyyy-MM-dd",
        "externalId": "pay-1",
    },
    "resourceExternalId": "pay-1",
}
AWAITING = {
    "commandId": 57,
    "rollbackTransaction": True,
    "resourceExternalId": {},
    "subResourceExternalId": {},
}
TRANSACTION = (
    '{"id":22,"loanId":1,"externalLoanId":"LN-1","type":{"id":2,"code":'
    '"loanTransactionType.repayment","value":"Repayment","disbursement":false,"repayment":true},'
    '"date":[2026,11,20],"currency":{"code":"INR","decimalPlaces":2},"amount":125.500000,'
    '"externalId":"pay-1","submittedOnDate":[2026,11,20],"manuallyReversed":false}'
)


def error(status: int, top: str, *items: str, **more: Any) -> str:
    """Fineract's general error body; without items `errors` is null, as Jackson prints it."""
    return json.dumps(
        {
            "developerMessage": f"developer: {top}",
            "httpStatusCode": str(status),
            "defaultUserMessage": f"user: {top}",
            "userMessageGlobalisationCode": top,
            "errors": [bare_error(item) for item in items] or None,
            **more,
        }
    )


def bare_error(code: str, text: str | None = None) -> dict[str, Any]:
    """One entry of `errors`, which also stands alone for unreadable JSON."""
    return {
        "developerMessage": f"developer: {code}",
        "defaultUserMessage": text or f"user: {code}",
        "userMessageGlobalisationCode": code,
        "parameterName": "id",
        "value": None,
        "args": [],
    }


VALIDATION = "validation.msg.validation.errors.exist"
DOMAIN_RULE = "validation.msg.domain.rule.violation"
NOT_FOUND = "error.msg.resource.not.found"
SERVLET_400 = '{"timestamp":"2026-11-20T10:00:00","status":400,"error":"Bad Request","path":"/x"}'
SERVLET_401 = '{"timestamp":"2026-11-20T10:00:00","status":401,"error":"Unauthorized","path":"/x"}'
TOMCAT_400 = "<!doctype html><html><head><title>HTTP Status 400 – Bad Request</title></head></html>"
TOMCAT_404 = "<!doctype html><html><head><title>HTTP Status 404 – Not Found</title></head></html>"
GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body></body></html>"
