"""The made-up world: borrowers, loans, amounts and days, all drawn from one seed.

What belongs here: inventing values. What does not: which payment stories are told (`cases`).
Of `random.Random` only `random` and `getrandbits` are used: they are the same on every Python.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from repayment_platform.sample_data.model import Due, LoanStatus

T = TypeVar("T")

PERIODS = 3
"""Months of payments; what happens after the month's file comes in the next one's."""
DAYS_BETWEEN_PERIODS = 28
PAYMENT_DAYS = 10
"""The days of a period on which payments fall; the rest keeps equal instalments of one loan
further apart than two reports of one payment can be."""

LOAN_PREFIXES = {
    "ARTHMATE": "ARTH-LN-",
    "DMI": "DMI-APP-",
    "GB": "GB-LN-",
    "IKF": "IKF-LN-",
    "SHIVALIK": "SHIV-LN-",
    "UGRO": "UGRO-LN-",
    "VIVRITI": "VIV-LN-",
}
ORDINARY = (LoanStatus.ACTIVE,) * 18 + (LoanStatus.CLOSED, LoanStatus.OVERPAID)
"""Statuses of loans that take repayments, as often as they occur."""
FIRST_NAMES = ("AARAV", "ANITA", "DEEPA", "GURPREET", "JOSÉ", "KAVITA", "NEHA", "VIKRAM", "YUSUF")
LAST_NAMES = ("AGARWAL", "D’SOUZA", "FERNANDES", "GILL", "IYER", "LAMA", "NAIR", "RAO", "SHARMA")
BANKS = ("HDFC", "SBIN", "UTIB", "PUNB", "ICIC", "KKBK", "BARB", "CNRB")


@dataclass(slots=True)
class _Loan:
    number: str
    emi: Decimal
    borrower: str
    umrn: str
    next_period: int = 0


class World:
    """Draws dues and identifiers; `lend` is called once for each loan that Fineract knows.

    Loans and references are counted from `numbers_after`: worlds apart share none of them.
    """

    def __init__(
        self,
        seed: int,
        today: date,
        lend: Callable[[str, LoanStatus, Decimal], None],
        numbers_after: int = 0,
    ) -> None:
        self.today = today
        self._random = Random(seed)  # noqa: S311 - sample data, not secrets
        self._lend = lend
        self._serial = numbers_after
        self._open: dict[str, _Loan] = {}
        self._loans = dict.fromkeys(LOAN_PREFIXES, numbers_after)

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def below(self, limit: int) -> int:
        return int(self._random.random() * limit)

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return sorted(items, key=lambda _: self._random.random())

    def weighted(self, options: Sequence[T], cumulative: Sequence[int]) -> T:
        return options[bisect(cumulative, self.below(cumulative[-1]))]

    def serial(self) -> int:
        """A number that is never given twice, for references that must be unique."""
        self._serial += 1
        return self._serial

    def code(self) -> str:
        """Fourteen characters, as in `pay_…`: unique, and not in order."""
        return f"{self.serial():08X}{self._random.getrandbits(24):06X}"

    def due(self, lender: str) -> Due:
        """The next instalment of a loan that takes repayments."""
        loan = self._open.get(lender)
        if loan is None:
            loan = self._open[lender] = self._new_loan(lender, self.pick(ORDINARY))
        due = self._fall_due(lender, loan, loan.next_period)
        loan.next_period += 1
        if loan.next_period == PERIODS:
            del self._open[lender]
        return due

    def due_on_loan(self, lender: str, status: LoanStatus | None) -> Due:
        """An instalment of a loan of its own, in this status; None is unknown to Fineract."""
        return self._fall_due(lender, self._new_loan(lender, status), self.below(PERIODS))

    def loan_fields(self, loan: str, status: LoanStatus, emi: Decimal) -> dict[str, Any]:
        """What the sandbox is told of a loan, so large that no repayment of a sample closes it,
        and paid out before any payment."""
        disbursed_on = self.today - timedelta(days=DAYS_BETWEEN_PERIODS * (PERIODS + 3))
        return {
            "externalId": loan,
            "status": int(status),
            "disbursedOn": disbursed_on.isoformat(),
            "principal": f"{emi * 24:.2f}",
        }

    def file_day(self, period: int) -> date:
        """The day of the file that reports a period; its payments are all older."""
        day = self.today - timedelta(days=1 + DAYS_BETWEEN_PERIODS * (PERIODS - 1 - period))
        return min(day, self.today)

    def _new_loan(self, lender: str, status: LoanStatus | None) -> _Loan:
        self._loans[lender] += 1
        number = f"{LOAN_PREFIXES[lender]}{self._loans[lender]:06d}"
        paise = self.pick((0, 0, 0, 50, 25, 99))
        emi = Decimal(150_000 + 25_000 * self.below(120) + paise) / 100
        if self.chance(0.04):
            emi += 125_000
        if status is not None:
            self._lend(number, status, emi)
        borrower = f"{self.pick(FIRST_NAMES)} {self.pick(LAST_NAMES)}"
        umrn = f"{self.pick(BANKS)}{self._random.getrandbits(50):016d}"
        return _Loan(number, emi, borrower, umrn)

    def _fall_due(self, lender: str, loan: _Loan, period: int) -> Due:
        # The last four days before the file are left for settlement and for late reports.
        day = self.file_day(period) - timedelta(days=4 + self.below(PAYMENT_DAYS))
        at = datetime.combine(day, time()) + timedelta(seconds=self.below(86_400))
        part = self.chance(0.08)
        amount = (
            (loan.emi * (1 + self.below(3)) / 4).quantize(Decimal("0.01")) if part else loan.emi
        )
        return Due(lender, loan.number, amount, at, period, loan.borrower, loan.umrn, period + 1)
