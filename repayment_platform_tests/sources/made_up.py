"""Made-up layouts of bank files: columns in any order, called by any of their names, written in
any way, for properties that must hold of every one of them.

What belongs here: drawing such a table, and one fault put into it. What does not: what must become
of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from repayment_platform.sources.layouts import NACH_WITH_REFERENCE

DAY_FORMS = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y-%m-%d", "%d-%b-%Y", "%d %B %Y",
             "%d/%m/%Y 00:00", "%d-%m-%Y 10:15:00", "%d/%b/%y", "%Y-%m-%d %H:%M:%S")  # fmt: skip
AMOUNT_FORMS = ("{:.2f}", "{:,.2f}", "₹{:.2f}", "Rs. {:,.2f}", "{:.4f}", "{:.2f} Cr", "INR {:.2f}")
EXTRA = ("Sr No", "Customer Name", "Remarks", "टिप्पणी", "Branch", "Mandate Status", "Utility Code")
UNITS = ("", " (Rs.)", " (INR)", " (₹)", " in Rs", " (In Rupees)")
FIELDS = ("loan_ref", "amount", "presentation_date", "payment_date", "status", "reason_code",
          "reason_text", "umrn", "utr", "payment_id")  # fmt: skip


@dataclass
class MadeUp:
    """A table of good rows; `places` says where each field stands."""

    header: list[str]
    rows: list[list[str]]
    places: dict[str, int]
    days: list[date]
    """Of payment, one a row."""
    amounts: list[str]
    """As they must be read, one a row."""

    def table(self) -> list[list[str]]:
        return [self.header, *self.rows]

    def add_column(self, name: str, cells: Sequence[str], at: int) -> None:
        self.header.insert(at, name)
        for row, cell in zip(self.rows, cells, strict=True):
            row.insert(at, cell)
        self.places = {f: p + (p >= at) for f, p in self.places.items()}

    def column(self, field: str) -> list[str]:
        return [row[self.places[field]] for row in self.rows]


def titles(field: str) -> list[str]:
    return list(NACH_WITH_REFERENCE.columns[field].aliases)


def _spelled(draw: Any, name: str) -> str:
    how = draw(st.sampled_from((str, str.upper, str.lower, lambda n: n.replace(" ", "_"),
                                lambda n: n.replace(" ", "\n"), lambda n: f" {n}. ")))  # fmt: skip
    return str(how(name))


@st.composite
def layouts(draw: Any, rows: int = 4) -> MadeUp:
    """A layout of a bank with good rows of successes, of November 2025."""
    names = {field: _spelled(draw, draw(st.sampled_from(titles(field)))) for field in FIELDS}
    names["amount"] += draw(st.sampled_from(UNITS))
    extra = draw(st.lists(st.sampled_from(EXTRA), max_size=3, unique=True))
    order = draw(st.permutations([*FIELDS, *extra]))
    forms = {f: draw(st.sampled_from(DAY_FORMS)) for f in ("presentation_date", "payment_date")}
    written = draw(st.sampled_from(AMOUNT_FORMS))
    table: list[list[str]] = []
    days, amounts = [], []
    for number in range(rows):
        presented = date(2025, 11, 1) + timedelta(draw(st.integers(0, 20)))
        days.append(presented + timedelta(draw(st.integers(0, 3))))
        amounts.append(f"{draw(st.integers(100, 9_999_999)) / 100:.2f}")
        cells = {
            "loan_ref": f"DMI-APP-{number + 1}",
            "amount": written.format(float(amounts[-1])),
            "presentation_date": presented.strftime(forms["presentation_date"]),
            "payment_date": days[-1].strftime(forms["payment_date"]),
            "status": draw(st.sampled_from(("SUCCESS", "Paid", "confirmed", "payment_success"))),
            "reason_code": draw(st.sampled_from(("", "00", "0", "-"))),
            "reason_text": draw(st.sampled_from(("", "NA", "-", "Transaction successful"))),
            "umrn": f"HDFC{number:016}",
            "utr": f"ICIC{number:012}",
            "payment_id": f"NPT{number}",
        }
        table.append([cells.get(name, f"x{number}") for name in order])
    header = [names.get(name, name) for name in order]
    return MadeUp(header, table, {f: order.index(f) for f in FIELDS}, days, amounts)
