"""Why a value, a row or a whole file is not taken, in words that operators filter by.

What belongs here: the reason codes and the two exceptions that carry them. What does not:
deciding that something is wrong (the parsers do), storing it (`landing.quarantine`).
"""

from enum import StrEnum


class RowReason(StrEnum):
    """Why one row is quarantined."""

    TRUNCATED_ROW = "TRUNCATED_ROW"
    EXTRA_FIELDS = "EXTRA_FIELDS"
    MALFORMED_ROW = "MALFORMED_ROW"
    """Quotes that do not pair, or bytes that text cannot hold."""
    MISSING_VALUE = "MISSING_VALUE"
    BAD_DECIMAL = "BAD_DECIMAL"
    BAD_DATE = "BAD_DATE"
    AMBIGUOUS_DIRECTION = "AMBIGUOUS_DIRECTION"
    """A negative amount where only money received makes sense."""
    UNKNOWN_VALUE = "UNKNOWN_VALUE"
    """A status that the source's layout does not list."""
    CONTRADICTORY_STATUS = "CONTRADICTORY_STATUS"
    """A success for which a return code, a reason or another status stands."""
    CONTRADICTORY_COLUMNS = "CONTRADICTORY_COLUMNS"
    """Two columns for one thing say different things."""
    CONTRADICTORY_DAYS = "CONTRADICTORY_DAYS"
    """The days of the row make sense only with the month first."""
    DAMAGED_CELL = "DAMAGED_CELL"
    """The cell holds an error of a spreadsheet, or a formula instead of its value."""
    UNSUPPORTED_ROW_TYPE = "UNSUPPORTED_ROW_TYPE"
    ARITHMETIC_MISMATCH = "ARITHMETIC_MISMATCH"
    """The amounts of the row contradict each other, as where cells have shifted."""
    SHIFTED_CELLS = "SHIFTED_CELLS"
    """Money stands where an id must be, as where an unquoted comma has split an amount."""
    ID_DAMAGED_BY_EXCEL = "ID_DAMAGED_BY_EXCEL"
    ID_TOO_LONG = "ID_TOO_LONG"
    REFERENCE_NOT_UNIQUE = "REFERENCE_NOT_UNIQUE"
    """Rows of one file share a payment reference but not the loan or the amount."""


class FileReason(StrEnum):
    """Why a whole file is refused."""

    UNKNOWN_SOURCE = "UNKNOWN_SOURCE"
    UNREADABLE_FILE = "UNREADABLE_FILE"
    EMPTY_FILE = "EMPTY_FILE"
    NOT_A_TABLE = "NOT_A_TABLE"
    MISSING_HEADER_COLUMN = "MISSING_HEADER_COLUMN"
    AMBIGUOUS_HEADER = "AMBIGUOUS_HEADER"
    SEVERAL_SHEETS = "SEVERAL_SHEETS"
    """More than one sheet of a workbook has rows to land."""
    DOUBTFUL_DAYS = "DOUBTFUL_DAYS"
    """Days of the file can only be read, or make sense only, with the month first."""
    SECOND_TABLE = "SECOND_TABLE"
    """A further table below the first one cannot be read by its own header."""
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of a reason
    TOO_LARGE = "TOO_LARGE"
    """Reading it takes more memory than one file may have."""
    TOO_SLOW = "TOO_SLOW"
    CONTROL_TOTAL_MISMATCH = "CONTROL_TOTAL_MISMATCH"
    FILE_CHANGED = "FILE_CHANGED"
    CANNOT_SUPERSEDE = "CANNOT_SUPERSEDE"
    """There is no file in force that this one could take the place of."""
    ROWS_MISSING = "ROWS_MISSING"
    """A corrected file lacks rows, and has some that cannot be read, which may be these."""


class BadValue(ValueError):
    """A cell, or the row it stands in, cannot be read as money, date, id or outcome."""

    def __init__(self, code: RowReason, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FileRefused(ValueError):
    """The file as a whole cannot be taken; nothing of it is landed."""

    def __init__(self, code: FileReason, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
