"""The chart of the Overview as SVG: no script draws it, so it is there at once and prints well.

What belongs here: bars for amounts over days. What does not: the numbers.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from repayment_platform.web.operations.show import day, money, number

WIDTH, HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 78, 8, 26, 46
UNITS = ((Decimal(10_000_000), "₹ crore"), (Decimal(100_000), "₹ lakh"), (Decimal(1), "₹"))


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    title: str
    under: str
    """What stands below it: its day, for every fifth."""


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    lines: list[tuple[float, str]]
    """Grid lines: height and amount."""
    unit: str
    is_empty: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def chart(days: list[tuple[date, int, Decimal]]) -> Chart:
    """Rupees per day, today last."""
    highest = max((rupees for _, _, rupees in days), default=Decimal(0))
    top = _round_up(highest)
    unit, name = next((u for u in UNITS if top >= u[0]), UNITS[-1])
    room, wide = HEIGHT - TOP - BOTTOM, (WIDTH - LEFT - RIGHT) / len(days)
    bars = []
    for n, (when, payments, rupees) in enumerate(days):
        height = float(rupees / top) * room
        told = f"{day(when)}: {money(rupees)} in {number(payments)} payments"
        under = f"{when:%d %b}" if (len(days) - 1 - n) % 5 == 0 else ""
        x = LEFT + n * wide + wide * 0.15
        bars.append(Bar(x, HEIGHT - BOTTOM - height, wide * 0.7, height, told, under))
    steps = [top * n / 4 for n in range(5)]
    lines = [(HEIGHT - BOTTOM - room * n / 4, f"{s / unit:.3g}") for n, s in enumerate(steps)]
    return Chart(bars, lines, name, is_empty=highest == 0)


def _round_up(amount: Decimal) -> Decimal:
    """The next of 1, 2, 4, 6, 8, 10 times a power of ten."""
    if amount <= 0:
        return Decimal(4)
    power = Decimal(10) ** amount.adjusted()
    return next(n * power for n in (1, 2, 4, 6, 8, 10) if n * power >= amount)
