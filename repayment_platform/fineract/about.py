"""What Fineract says of itself and of the user who asks.

What belongs here: reading such answers. What does not: whether it is as it should be
(`monitoring`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from repayment_platform.fineract.contract import LookupFailed
from repayment_platform.fineract.lookups import MalformedError, failed, field_of
from repayment_platform.fineract.wire import Answer

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """What answers at Fineract's address."""

    version: str | None
    """As Fineract writes it, such as `1.13.0-SNAPSHOT`; None where it keeps it to itself."""
    clock: datetime | None
    """None where the answer bears no date."""


@dataclass(frozen=True)
class User:
    """Who has logged in."""

    name: str
    rights: frozenset[str]
    """Codes of Fineract's permissions, of all the user's roles."""
    must_renew_password: bool
    """Then the rights are not told."""

    def may(self, right: str) -> bool:
        reads = {"ALL_FUNCTIONS_READ"} if right.startswith("READ_") else set()
        return not self.rights.isdisjoint({"ALL_FUNCTIONS", right, *reads})


def read_server(answer: Answer) -> Server:
    """From whatever `/actuator/info` was answered with; it is often empty, or closed."""
    try:
        clock = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        clock = None
    return Server(_version(answer.json()), clock)


def read_user(answer: Answer) -> User | LookupFailed:
    """From the answer to a log-in."""

    def user(body: Any) -> User:
        if field_of(body, "authenticated", bool) is not True:
            raise MalformedError("authenticated is not true")
        name = field_of(body, "username", str)
        if body.get("shouldRenewPassword") is True:
            return User(name, frozenset(), must_renew_password=True)
        rights = field_of(body, "permissions", list)
        return User(name, frozenset(map(str, rights)), must_renew_password=False)

    return _read(answer, user)


def read_switch(answer: Answer) -> bool | LookupFailed:
    """From one of Fineract's global configurations: whether it is on."""
    return _read(answer, lambda body: bool(field_of(body, "enabled", bool)))


def read_checked(answer: Answer) -> frozenset[str] | LookupFailed:
    """From the list of what a checker can be asked for: the rights for which one is."""

    def checked(body: Any) -> frozenset[str]:
        if not isinstance(body, list):
            raise MalformedError("permissions are no list")
        return frozenset(
            field_of(each, "code", str) for each in body if field_of(each, "selected", bool)
        )

    return _read(answer, checked)


def read_business_date(answer: Answer) -> date | LookupFailed:
    """Written [2026, 11, 20] by older ones and "2026-11-20" by newer."""

    def day(body: Any) -> date:
        written = body.get("date") if isinstance(body, Mapping) else None
        try:
            if isinstance(written, list):
                return date(*written)
            return date.fromisoformat(written if isinstance(written, str) else "")
        except (TypeError, ValueError):
            raise MalformedError("date is not as Fineract writes it") from None

    return _read(answer, day)


def _read(answer: Answer, read: Callable[[Any], T]) -> T | LookupFailed:
    if answer.status != 200:
        return failed(answer)
    try:
        return read(answer.json())
    except MalformedError as error:
        return LookupFailed(str(error))


def _version(info: object) -> str | None:
    for name in ("git", "build", "version"):
        info = info.get(name) if isinstance(info, Mapping) else None
    return info if isinstance(info, str) and info else None
