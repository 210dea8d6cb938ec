"""What Fineract says of itself.

What belongs here: reading such answers. What does not: whether it is as it should be
(`monitoring`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from repayment_platform.fineract.wire import Answer


@dataclass(frozen=True)
class Server:
    """What answers at Fineract's address."""

    version: str | None
    """As Fineract writes it, such as `1.13.0-SNAPSHOT`; None where it keeps it to itself."""
    clock: datetime | None
    """None where the answer bears no date."""


def read_server(answer: Answer) -> Server:
    """From whatever `/actuator/info` was answered with; it is often empty, or closed."""
    try:
        clock = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        clock = None
    return Server(_version(answer.json()), clock)


def _version(info: object) -> str | None:
    for name in ("git", "build", "version"):
        info = info.get(name) if isinstance(info, Mapping) else None
    return info if isinstance(info, str) and info else None
