"""What must be posted, worked out apart from the platform, and the comparison with a ledger.

What belongs here: the truth's file, the formula of the keys, comparing. What does not: reading
a ledger over HTTP; callers bring its rows.

Two things the truth leaves open, because the order in which sources arrive decides them:

* Of equal payments of one loan and day, which one holds the formula key and which one `#1`.
  So rows are compared as a multiset of loan, date and amount, and a row's key must be one of
  the keys that as many equal payments can have.
* Where two sources report the same money under different dates, under which of the two it is
  posted and keyed. `dates` lists the dates under which the ledger may have it, `key_dates` those
  that may be in its key: also the date of a bounced debit before the payment that made it good.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from repayment_platform.sample_data.model import Due, State
from repayment_platform.sources.registry import LENDERS, PostingMode

Truth = Mapping[str, Any]
"""What `truth.json` holds."""


def source_key(lender: str, loan: str, on: str, amount: Decimal, n: int = 0) -> str:
    """md5 of lender, loan, ISO date and rupees with two decimals; `#n` for the n-th equal one."""
    text = f"{lender}{loan}{on}{amount:.2f}" + (f"#{n}" if n else "")
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def read(path: Path) -> Truth:
    truth: Truth = json.loads(path.read_text(encoding="utf-8"))
    return truth


@dataclass
class TruthWriter:
    """Writes `truth.json` payment by payment; `close` adds the totals and what was sent."""

    stream: TextIO
    payments: int = 0
    _totals: dict[tuple[str, State], list[Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: [Decimal(0), Decimal(0)])
    )

    def __post_init__(self) -> None:
        self.stream.write('{"payments": [')

    def add(
        self,
        due: Due,
        state: State,
        code: str | None,
        dates: tuple[date, ...],
        key_dates: tuple[date, ...],
    ) -> None:
        posting = LENDERS[due.lender].posting
        on = (dates or (due.on,))[0].isoformat()
        entry: dict[str, Any] = {
            "source_key": source_key(due.lender, due.loan, on, due.amount),
            "lender": due.lender,
            "loan": None if state is State.NO_LOAN else due.loan,
            "date": on,
            "amount": f"{due.amount:.2f}",
            "posting": posting.value,
            "state": state.value,
        }
        if code:
            entry["code"] = code
        if dates or key_dates:
            entry["dates"] = _unique(dates)
            entry["key_dates"] = _unique(key_dates)
        if state is State.NO_LOAN:
            entry["source_key"] = None
        self.stream.write(",\n" if self.payments else "\n")
        self.stream.write(json.dumps(entry))
        self.payments += 1
        total = self._totals[due.lender, state]
        total[0] += 1
        total[1] += due.amount

    def close(self, sent: Mapping[str, Any]) -> None:
        """Add the totals for each lender and state, then everything in `sent`."""
        rest = {"totals": self.totals()} | dict(sent)
        self.stream.write("\n],\n" + json.dumps(rest, indent=1)[2:] + "\n")

    def totals(self) -> dict[str, dict[str, dict[str, Any]]]:
        totals: dict[str, dict[str, dict[str, Any]]] = {}
        for (lender, state), (count, amount) in sorted(self._totals.items()):
            of_lender = totals.setdefault(lender, {})
            of_lender[state.value] = {"count": int(count), "amount": f"{amount:.2f}"}
        return totals


def _unique(dates: Iterable[date]) -> list[str]:
    return list(dict.fromkeys(on.isoformat() for on in dates))


@dataclass(frozen=True)
class _Posting:
    """One live ledger row, or one payment that must be there."""

    loan: str
    amount: Decimal
    dates: tuple[str, ...]
    lender: str = ""
    key_dates: tuple[str, ...] = ()
    key: str | None = None

    def __str__(self) -> str:
        return f"{self.loan}: ₹{self.amount} of {' or '.join(self.dates)}"


def compare(truth: Truth, ledger_rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """How the ledger differs from the truth, one sentence a difference; empty when it is right.

    `ledger_rows` are those of the sandbox's `GET /sandbox/ledger`: `externalId`,
    `loanExternalId`, `date`, `amount`, `reversed`. Reversed rows count for nothing.
    """
    rows = [_row(row) for row in ledger_rows if not row["reversed"]]
    differences = [
        f"the key {key} is in the ledger {count} times"
        for key, count in Counter(row.key for row in rows if row.key).items()
        if count > 1
    ]
    posted = _by_loan_and_amount(rows)
    expected = _by_loan_and_amount(_expected(truth))
    for where in sorted(expected.keys() | posted.keys()):
        differences += _differences(expected.get(where, []), posted.get(where, []))
    return differences


def _expected(truth: Truth) -> Iterator[_Posting]:
    for entry in truth["payments"]:
        if entry["state"] == State.SUCCESS and entry["posting"] == PostingMode.AUTOMATED:
            on = (entry["date"],)
            yield _Posting(
                entry["loan"],
                Decimal(entry["amount"]),
                tuple(entry.get("dates", on)),
                entry["lender"],
                tuple(entry.get("key_dates", on)),
            )


def _row(row: Mapping[str, Any]) -> _Posting:
    amount = Decimal(str(row["amount"]))
    return _Posting(row["loanExternalId"], amount, (row["date"],), key=row["externalId"])


def _by_loan_and_amount(
    postings: Iterable[_Posting],
) -> dict[tuple[str, Decimal], list[_Posting]]:
    groups: dict[tuple[str, Decimal], list[_Posting]] = defaultdict(list)
    for posting in postings:
        groups[posting.loan, posting.amount].append(posting)
    return groups


def _differences(expected: list[_Posting], posted: list[_Posting]) -> Iterator[str]:
    """Pair off what agrees. Equal sums of one loan are of one day or of days far apart."""
    missing = sorted(expected, key=lambda payment: len(payment.dates))
    for row in posted:
        payment = next((p for p in missing if row.dates[0] in p.dates), None)
        if payment is None:
            due = sum(row.dates[0] in p.dates for p in expected)
            times = f"more often than the {due} expected" if due else "and must not be"
            yield f"{row} is in the ledger, {times} (key {row.key})"
            continue
        missing.remove(payment)
        if row.key not in _possible_keys(payment, expected):
            yield f"{row} is in the ledger under the key {row.key}, which is not one of its own"
    yield from (f"{payment} is not in the ledger" for payment in missing)


def _possible_keys(payment: _Posting, group: list[_Posting]) -> set[str]:
    equals = sum(set(payment.dates) & set(other.dates) != set() for other in group)
    return {
        source_key(payment.lender, payment.loan, on, payment.amount, n)
        for on in payment.key_dates
        for n in range(equals)
    }
