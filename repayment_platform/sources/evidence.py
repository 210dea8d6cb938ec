"""What a row's cells say of each field: the one place that looks at all columns of a field.

What belongs here: a field's text out of all its columns, where these contradict each other, and
cells that a spreadsheet has damaged. What does not: what the one text means (`rows`, `outcomes`),
which column is which field (`headers`).
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import chain

from repayment_platform.sources.dates import parse_date
from repayment_platform.sources.ids import loans_in
from repayment_platform.sources.known import Known
from repayment_platform.sources.layouts import Layout, Outcome
from repayment_platform.sources.outcomes import denies, outcome_of
from repayment_platform.sources.refusals import BadValue, RowReason

Texts = Sequence[str | None]
"""The texts of one field without what surrounds them, None where a row says "nothing"."""
Fields = Mapping[str, tuple[int, ...]]
"""Field to the indexes of its columns."""

AMOUNTS = frozenset({"amount", "refunded", "settled", "fee", "tax", "credit", "debit"})
_ERROR = re.compile(r"#(?:N/A|GETTING_DATA|[A-Z][A-Z0-9/_]*[!?])|#{2,}|Err:[0-9]{3}", re.IGNORECASE)
_MARKS = {"'": "|'", "#": "|#", "=": "|=", ":": "|Err:", " ": "| "}
"""How cells between bars begin that are not what they mean, under a sign that must be there then:
one sign is found ten times as fast as two."""
_TEXT_FORMULA = re.compile(r'="([^"]*)"')


class Evidence:
    """Reads the fields of one layout, whose columns stand where `fields` says."""

    def __init__(
        self,
        layout: Layout,
        fields: Fields,
        null_texts: Sequence[str],
        loan_id_pattern: str,
        amount: Callable[[str], Hashable],
    ) -> None:
        """`amount` reads an amount in the unit of the source."""
        self.fields = fields
        self._layout = layout
        self._nulls = frozenset(null_texts)
        self._longest_null = max(map(len, null_texts), default=0)
        self._cleaned = Known(self._text)
        self._amount = amount
        self._loans = partial(loans_in, loan_id_pattern)
        self._agreed = {
            field: Known(partial(self._agree, field))
            for field, places in fields.items()
            if len(places) > 1
        }
        self._denials = {
            name: Known(partial(_denial, layout, name)) for name in ("reason_else", "status_else")
        }

    def of(self, rows: Sequence[Sequence[str]]) -> "Said":
        """What rows say that all have as many cells as the header."""
        return Said(self, list(zip(*rows, strict=True)), len(rows), are_plain=_are_plain(rows))

    def column(
        self, cells: Sequence[str], *, are_plain: bool = False
    ) -> Sequence[str | BadValue | None]:
        """The texts of one column, damaged ones refused; plain cells are what they mean, unless
        that is nothing."""
        values = cells if are_plain else list(map(str.strip, cells))
        if are_plain and min(map(len, values), default=0) > self._longest_null:
            return values
        return self._cleaned.all(values)

    def agreed(self, field: str, columns: Sequence[Texts]) -> Sequence[str | BadValue | None]:
        """The one text of a field that has several columns, refused where they differ."""
        return self._agreed[field].all(zip(*columns, strict=True))

    def denials(self, name: str, columns: Sequence[Texts]) -> Sequence[str | BadValue | None]:
        return self._denials[name].all(zip(*columns, strict=True))

    def _text(self, value: str) -> str | None:
        """One leading apostrophe is Excel's mark for text and no part of the value, and so is the
        formula `="0012"`."""
        if value[:1] == "'":
            value = value[1:].strip()
        elif value[:1] == "=":
            quoted = _TEXT_FORMULA.fullmatch(value)
            if not quoted:
                raise BadValue(
                    RowReason.DAMAGED_CELL, f"a cell holds the formula {value!r} and no value"
                )
            value = quoted[1].strip()
        elif _ERROR.fullmatch(value):
            raise BadValue(
                RowReason.DAMAGED_CELL, f"a cell holds {value!r}, an error of the spreadsheet"
            )
        return None if value.lower() in self._nulls else value

    def _agree(self, field: str, texts: tuple[str | None, ...]) -> str | None:
        stated = [text for text in texts if text is not None]
        if not stated or self._layout.columns[field].first_wins:
            return stated[0] if stated else None
        means = [self._meaning(field, text) for text in stated]
        blank = len(stated) < len(texts)
        silent = blank and (field == "amount" or means[0] is Outcome.SUCCESS)
        if field == "reason_text" or (len(set(means)) == 1 and not silent):
            return _telling(stated) if field == "reason_text" else stated[0]
        if field == "loan_ref" and not all(loans := [self._loans(text) for text in stated]):
            named = [text for text, ids in zip(stated, loans, strict=True) if ids]
            if len({frozenset(self._loans(text)) for text in named}) == 1:
                return named[0]
        said = " and ".join(repr(text) if text is not None else "nothing" for text in texts)
        raise BadValue(
            RowReason.CONTRADICTORY_COLUMNS,
            f"the columns for the {field.replace('_', ' ')} do not agree: they say {said}",
        )

    def _meaning(self, field: str, text: str) -> Hashable:
        """What is compared; a text that cannot be read means itself."""
        try:
            if field in AMOUNTS:
                return self._amount(text)
            if formats := self._layout.columns[field].date_formats:
                return parse_date(text, formats)
        except BadValue:
            return text
        if field == "status":
            return outcome_of(self._layout, text) or text
        if field == "loan_ref" and (loans := self._loans(text)):
            return frozenset(loans)
        return "".join(text.split()).upper()


class Said:
    """What the rows of a batch say. `faults` grows while fields are asked for."""

    def __init__(
        self, evidence: Evidence, cells: Sequence[Sequence[str]], rows: int, *, are_plain: bool
    ) -> None:
        self.faults: dict[int, BadValue] = {}
        """By row: a damaged cell, or columns that do not agree."""
        self._evidence = evidence
        self._columns = [partial(evidence.column, each, are_plain=are_plain) for each in cells]
        self._nothing: list[None] = [None] * rows
        self._known: dict[str, Texts] = {}

    def __call__(self, field: str) -> Texts:
        """The texts of a field, one a row."""
        if field not in self._known:
            self._known[field] = self._texts(field)
        return self._known[field]

    def denials(self) -> Texts:
        """For each row what further columns say against a success; None where nothing does."""
        told: Texts = self._nothing
        for name in ("reason_else", "status_else"):
            if places := self._evidence.fields.get(name):
                columns = [self._sound(self._columns[at]()) for at in places]
                found = self._sound(self._evidence.denials(name, columns))
                told = [one or other for one, other in zip(told, found, strict=True)]
        return told

    def _texts(self, field: str) -> Texts:
        places = self._evidence.fields.get(field)
        if not places:
            return self._nothing
        columns = [self._sound(self._columns[at]()) for at in places]
        if len(columns) == 1:
            return columns[0]
        return self._sound(self._evidence.agreed(field, columns))

    def _sound(self, texts: Sequence[str | BadValue | None]) -> Texts:
        """The texts, with None in place of what is refused, which becomes a fault of its row."""
        if BadValue not in set(map(type, texts)):
            return texts  # type: ignore[return-value]  # none is refused
        for row, text in enumerate(texts):
            if isinstance(text, BadValue):
                self.faults.setdefault(row, text)
        return [None if isinstance(text, BadValue) else text for text in texts]


def _are_plain(rows: Sequence[Sequence[str]]) -> bool:
    """Whether no cell of some rows has a mark, or space around it. All are looked at at once; a bar
    in a cell may only make plain cells look otherwise."""
    text = "|".join(chain([""], chain.from_iterable(rows), [""]))
    odd = any(sign in text and mark in text for sign, mark in _MARKS.items())
    return text.isprintable() and not odd and " |" not in text


def _telling(texts: Sequence[str]) -> str:
    """Of several reasons the one that speaks against a success, if one does."""
    return next((text for text in texts if denies(text)), texts[0])


def _denial(layout: Layout, name: str, texts: tuple[str | None, ...]) -> str | None:
    for text in texts:
        if text is None:
            continue
        if name == "reason_else":
            if denies(text):
                return text
        elif outcome_of(layout, text) not in (None, Outcome.SUCCESS, Outcome.PENDING):
            return text
    return None
