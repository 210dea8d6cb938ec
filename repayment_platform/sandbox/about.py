"""What Fineract tells of itself: its version, who logs in and what that user may do, its switches.

What belongs here: those answers. What does not: the rules that follow from a right or a switch,
which stand where they count (`api`, `changes`, `commands`).
"""

import base64
import json
import re
from typing import Any

from repayment_platform.sandbox import replies
from repayment_platform.sandbox.config import API, Config
from repayment_platform.sandbox.faults import Plan
from repayment_platform.sandbox.replies import Reply, to_json
from repayment_platform.sandbox.wire import Exchange

INFO = "/fineract-provider/actuator/info"
LOG_IN = f"{API}/authentication"
PERMISSIONS = f"{API}/permissions"
BUSINESS_DATE = f"{API}/businessdate/BUSINESS_DATE"
_CONFIGURATION = re.compile(API + r"/configurations/name/(?P<name>[^/]+)")


def answer(config: Config, plan: Plan, exchange: Exchange) -> Reply | None:
    """None where something else was asked. Raises `FineractError` where the user may not ask."""
    method, path = exchange.request.method, exchange.path
    if (method, path) == ("GET", INFO):
        return _info(plan)
    if (method, path) == ("POST", LOG_IN):
        return _log_in(config, plan, exchange.body)
    return _tell(config, plan, path) if method == "GET" else None


def _info(plan: Plan) -> Reply:
    """The version as the build wrote it, where it did."""
    version = {"git": {"branch": "develop", "build": {"version": plan.version}}}
    return Reply(200, to_json(version if plan.version else {}))


def _log_in(config: Config, plan: Plan, body: bytes) -> Reply:
    """`POST /authentication`: who that is, with the rights of all roles in one list."""
    try:
        asked = json.loads(body)
        login = (asked["username"], asked["password"])
    except (ValueError, KeyError, TypeError):
        raise replies.malformed_json() from None
    if login != (config.user, config.password):
        raise replies.not_authenticated()
    known = {
        "username": config.user,
        "userId": 1,
        "base64EncodedAuthenticationKey": base64.b64encode(":".join(login).encode()).decode(),
        "authenticated": True,
        "officeId": 1,
        "officeName": "Head Office",
        "roles": [{"id": 2, "name": "Repayments", "description": "Repayments", "disabled": False}],
        "permissions": plan.rights,
        "shouldRenewPassword": False,
        "isTwoFactorAuthenticationRequired": False,
    }
    if plan.password_expired:
        renew = {"shouldRenewPassword": True}
        kept = ("username", "userId", "base64EncodedAuthenticationKey", "authenticated")
        known = {name: known[name] for name in kept} | renew
    return Reply(200, to_json(known))


def _tell(config: Config, plan: Plan, path: str) -> Reply | None:
    if path == PERMISSIONS:
        plan.require("READ_PERMISSION")
        return Reply(200, to_json(_checkable(plan)))
    if path == BUSINESS_DATE:
        plan.require("READ_BUSINESS_DATE")
        return Reply(200, to_json(_business_date(config, plan)))
    if found := _CONFIGURATION.fullmatch(path):
        plan.require("READ_CONFIGURATION")
        enabled = {
            "maker-checker": bool(plan.rules_of("maker_checker")),
            "enable-business-date": bool(config.business_date)
            or bool(plan.rules_of("business_date_behind")),
        }
        name = found["name"]
        if name not in enabled:
            message = f"Configuration with name {name} does not exist"
            raise replies.not_found("error.msg.configuration.name.invalid", message, name)
        shown = {"name": name, "enabled": enabled[name], "value": 0, "id": 1, "trapDoor": False}
        return Reply(200, to_json(shown))
    return None


def _checkable(plan: Plan) -> list[dict[str, Any]]:
    """What a checker can be asked for, and whether one is."""
    checked = {rule.on for rule in plan.rules_of("maker_checker")}
    return [
        {
            "grouping": "transaction_loan",
            "code": f"{action}_LOAN",
            "entityName": "LOAN",
            "actionName": action,
            "selected": not checked.isdisjoint({operation, "any"}),
        }
        for action, operation in (("REPAYMENT", "repayment"), ("ADJUST", "adjustment"))
    ]


def _business_date(config: Config, plan: Plan) -> dict[str, Any]:
    behind = (rule.days for rule in plan.rules_of("business_date_behind"))
    today = config.today(max(behind, default=0))
    return {"description": "Business Date", "type": "BUSINESS_DATE", "date": today}
