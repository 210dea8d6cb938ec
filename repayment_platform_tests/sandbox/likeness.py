"""Whether the sandbox's answer is Fineract's recorded one, but for what is each one's own.

What belongs here: what counts as the same, and the reasons for what is left aside. What does not:
sending anything.

Left aside are words, times, numbers of things, and what follows from instalments and interest, of
which the sandbox knows nothing: terms, the split of a repayment, sums, accruals.
"""

from collections.abc import Iterator
from typing import Any

HEADERS = ("content-type", "x-served-from-cache", "www-authenticate", "connection")

_WORDS = {"developerMessage", "defaultUserMessage", "clientName"}
_TIMES = {"timestamp", "createdDate", "lastUpdatedDate", "title"}
_NUMBERS = {
    "loanId": "loan",
    "resourceId": "transaction",
    "commandId": "command",
    "fromLoanTransaction": "transaction",
    "toLoanTransaction": "transaction",
}
"""Of what each key gives the number. The sandbox's must stand for the same thing everywhere."""
_NUMBERS_IN_ARGUMENTS = {
    "error.msg.loan.transaction.id.invalid": ("transaction", "loan"),
    "error.msg.loan.written.off.update.not.allowed": ("transaction",),
    "error.msg.client.not.active.exception": (None,),
}
"""By code; None: a client, of which the sandbox has one per loan and Fineract one in all."""
_TERMS = {
    *("accountNo", "clientAccountNo", "clientId", "loanProductCounter", "loanProductId"),
    *("termFrequency", "numberOfRepayments", "actualNoTerm", "interestRatePerPeriod"),
    *("annualInterestRate", "expectedMaturityDate", "inArrears"),
    *("startDate", "paidInAdvance", "calendarInstanceId", "entityId"),
}
_MONEY = {"outstandingLoanBalance", "totalOverpaid", "netDisbursalAmount"}
_COUNTS = {"totalElements", "numberOfElements"}
"""Of a list; Fineract's holds accruals too."""
_PRESENCE = _WORDS | _TIMES | _TERMS | _MONEY | _COUNTS
"""Keys that must be there, with a value of the same kind."""
_SCHEDULED = {"overdueSinceDate", "actualMaturityDate"}
"""Keys that are there or not as the instalments want it; in a list, so are the portions."""


class Likeness:
    """Compares answer by answer and remembers which number of one is which of the other."""

    def __init__(self) -> None:
        self._ours: dict[tuple[str, int], int] = {}

    def number(self, kind: str, recorded: int) -> int:
        """The sandbox's number for what Fineract gave the recorded one."""
        return self._ours[kind, recorded]

    def differences(self, recorded: Any, ours: Any, at: str = "") -> Iterator[str]:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            yield from self._of_objects(recorded, ours, at)
        elif isinstance(recorded, list) and isinstance(ours, list):
            yield from self._of_lists(recorded, ours, at)
        elif recorded != ours or isinstance(recorded, bool) != isinstance(ours, bool):
            yield f"{at}: Fineract says {recorded!r}, the sandbox {ours!r}"

    def _of_objects(self, recorded: dict[str, Any], ours: dict[str, Any], at: str) -> Iterator[str]:
        for key in sorted(recorded.keys() ^ ours.keys()):
            if key in _SCHEDULED or (key.endswith("Portion") and "transactionType" in recorded):
                continue
            yield f"{at}.{key}: only {'Fineract' if key in recorded else 'the sandbox'} has it"
        numbered = dict(_NUMBERS)
        if kind := _kind_of(recorded):
            numbered["id"] = kind
        arguments = _NUMBERS_IN_ARGUMENTS.get(recorded.get("userMessageGlobalisationCode", ""), ())
        for key in recorded.keys() & ours.keys():
            there, here, where = recorded[key], ours[key], f"{at}.{key}"
            if key in numbered:
                yield from self._of_numbers(numbered[key], there, here, where)
            elif key == "args" and arguments:
                yield from self._of_arguments(arguments, there, here, where)
            elif key in _PRESENCE or _is_split(key, at) or _is_entry_day(key, recorded):
                if _rough(there) != _rough(here):
                    yield f"{where}: Fineract says {there!r}, the sandbox {here!r}"
            else:
                yield from self.differences(there, here, where)

    def _of_lists(self, recorded: list[Any], ours: list[Any], at: str) -> Iterator[str]:
        there, here = _in_order(recorded), _in_order(ours)
        if len(there) != len(here):
            yield f"{at}: Fineract has {len(there)}, the sandbox {len(here)}"
        for index, (one, other) in enumerate(zip(there, here, strict=False)):
            yield from self.differences(one, other, f"{at}[{index}]")

    def _of_numbers(self, kind: str, recorded: int, ours: int, at: str) -> Iterator[str]:
        expected = self._ours.setdefault((kind, recorded), ours)
        if ours != expected:
            yield f"{at}: {kind} {recorded} was {expected} in the sandbox, now it is {ours}"

    def _of_arguments(
        self, kinds: tuple[str | None, ...], recorded: list[Any], ours: list[Any], at: str
    ) -> Iterator[str]:
        if not len(kinds) == len(recorded) == len(ours) and len(recorded) != len(ours):
            yield f"{at}: Fineract names {recorded}, the sandbox {ours}"
        for kind, there, here in zip(kinds, recorded, ours, strict=False):
            if kind is not None:
                yield from self._of_numbers(kind, there["value"], here["value"], at)


def _kind_of(thing: dict[str, Any]) -> str | None:
    """What the `id` of this object numbers; None: it is a fixed one, such as a status."""
    if "loanType" in thing:
        return "loan"
    if "interestRecalculationCompoundingType" in thing:
        return "recalculation"
    return "transaction" if "amount" in thing or "paymentType" in thing else None


def _is_split(key: str, at: str) -> bool:
    return key.endswith("Portion") or (at.endswith(".summary") and key != "currency")


def _is_entry_day(key: str, thing: dict[str, Any]) -> bool:
    """When a disbursement was entered; the sandbox's was entered on its own day."""
    return key == "submittedOnDate" and thing.get("type", {}).get("disbursement", False)


def _in_order(things: list[Any]) -> list[Any]:
    """Transactions: without accruals, by what they say of themselves. Relations: by number."""
    if not all(isinstance(thing, dict) for thing in things):
        return things
    if any("relationType" in thing for thing in things):
        return sorted(things, key=lambda thing: int(thing["toLoanTransaction"]))
    if not any("manuallyReversed" in thing for thing in things):
        return things
    return sorted(
        (thing for thing in things if not thing["type"]["accrual"]),
        key=lambda one: (
            str(one["date"]), one["amount"], one["manuallyReversed"], one.get("externalId") or "",
        ),
    )  # fmt: skip


def _rough(value: Any) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__
