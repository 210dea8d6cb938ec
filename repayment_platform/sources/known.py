"""Texts of a column, each read once: a file has many rows and few dates and statuses.

What belongs here: remembering what a text was read as. What does not: how it is read (`rows`).
"""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from repayment_platform.sources.refusals import BadValue

Text = TypeVar("Text", bound=Hashable)
Value = TypeVar("Value")

MOST_KNOWN = 100_000
"""Texts of a column that are remembered; some megabytes."""


class Known(dict[Text, Value | BadValue]):
    """What texts were read as, each read once; what cannot be read becomes its reason."""

    def __init__(self, read: Callable[[Text], Value]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: Text) -> Value | BadValue:
        if len(self) >= MOST_KNOWN:
            self.clear()
        try:
            value: Value | BadValue = self._read(text)
        except BadValue as bad:
            value = bad
        self[text] = value
        return value

    def all(self, texts: Iterable[Text]) -> list[Value | BadValue]:
        return list(map(self.__getitem__, texts))
