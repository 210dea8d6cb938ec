"""Cashfree's settlement report with rows of a test's own, in the columns of the sample.

What belongs here: putting such a file together, as CSV and as rows for a workbook. What does not:
expectations.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from repayment_platform_tests.sources.reading import SAMPLES, text_of

SAMPLE = SAMPLES / "cashfree_settlement_recon_two_section.csv"
SETTLEMENTS, _, _, _, MARKER, DETAILS, *ROWS = csv.reader(SAMPLE.read_text().splitlines())
PAYMENT, REFUND = (dict(zip(DETAILS, row, strict=True)) for row in ROWS)
Event = dict[str, str]


def event(kind: str, number: int, amount: str, net: str, **changes: str) -> Event:
    """A row about the payment of the sample; `Refund_ARN` stands for that header."""
    told = {
        "Event Type": kind,
        "Sale Type": "DEBIT" if net.startswith("-") else "CREDIT",
        "Event Id": str(number),
        "Event Amount": amount,
        "Event Settlement Amount": net,
    }
    like = PAYMENT if kind == "PAYMENT" else REFUND
    spelled = {name.replace(" ", "_"): name for name in DETAILS}
    return like | told | {spelled[name]: cell for name, cell in changes.items()}


def tagged(**tags: str) -> Event:
    """Cells of `event`: the order's tags, none but these."""
    cells = {"Key_1": "", "Value_1": ""}
    for n, (key, value) in enumerate(tags.items(), start=1):
        cells |= {f"Key_{n}": key, f"Value_{n}": value}
    return cells


def sections(events: Sequence[Event]) -> tuple[list[list[str]], list[list[str]]]:
    """Both tables; the first states what the rows of each UTR add up to."""
    nets: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in events:
        nets[each["UTR"]] += Decimal(each["Event Settlement Amount"])
    stated = [
        [{"UTR No.": utr, "Net Settlement Amount": str(net)}.get(name, "") for name in SETTLEMENTS]
        for utr, net in nets.items()
    ]
    details = [[each[name] for name in DETAILS] for each in events]
    return [SETTLEMENTS, *stated], [DETAILS, *details]


def recon_file(*events: Event) -> str:
    above, (header, *details) = sections(events)
    first = text_of(*above[1:], header=above[0])
    return f"{first}\n\n{MARKER[0]}\n{text_of(*details, header=header)}"
