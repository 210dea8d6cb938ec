"""What is known of a file before, while and after it lands.

What belongs here: plain values passed between the loader, the log and who asked. What does
not: SQL, reading files.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from repayment_platform.landing.changes import Changes
from repayment_platform.sources.encodings import Fingerprint
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import Source


class FileStatus(StrEnum):
    LANDED = "landed"
    DUPLICATE = "duplicate"
    FAILED = "failed"


@dataclass(frozen=True)
class Arrival:
    """A file as it came, before anyone looked at its rows."""

    name: str
    received_by: str
    source: Source | None = None
    seen: Fingerprint | None = None
    problem: FileRefused | OSError | None = None
    """Why there is no source or no fingerprint."""


@dataclass(frozen=True)
class Counts:
    """What was in a file. `rows_read` is always the sum of landed, quarantined and duplicate."""

    encoding: str
    delimiter: str | None
    layout: str
    rows_landed: int
    rows_quarantined: int
    control_totals: dict[str, object]
    outcomes: dict[str, int]
    """Rows landed or duplicate, by outcome."""
    rows_duplicate: int = 0
    """Rows that stood in the superseded file, each letter the same."""
    rows_withdrawn: int = 0
    """Rows of the superseded file that this one no longer has."""

    @property
    def rows_read(self) -> int:
        return self.rows_landed + self.rows_quarantined + self.rows_duplicate


@dataclass(frozen=True)
class QuarantinedRow:
    row_number: int
    reason_code: str
    reason: str
    original: str


@dataclass(frozen=True)
class FileResult:
    """What became of one file; in a preview, what would have become of it."""

    file_id: int
    """Its entry in CORE_FILE_LOG; in a preview that entry is gone."""
    name: str
    raw_table: str | None
    status: FileStatus
    seconds: float
    error: str | None = None
    """Why it failed: a code of `FileReason`, a colon, the reason."""
    duplicate_of: int | None = None
    rows_duplicate: int = 0
    """Rows that land nothing, because they have landed before: of a duplicate all of them."""
    counts: Counts | None = None
    """None unless the file landed."""
    changes: Changes | None = None
    """What it changes of the file that it supersedes; None unless it supersedes one."""
    quarantined: dict[str, int] = field(default_factory=dict)
    """Rows quarantined, by reason code."""
    examples: list[QuarantinedRow] = field(default_factory=list)
    """The first of the quarantined rows."""
    preview: bool = False

    @property
    def reason_code(self) -> FileReason | None:
        """Why it failed, in one word."""
        return FileReason(self.error.partition(":")[0]) if self.error else None

    @property
    def rows_read(self) -> int:
        return self.counts.rows_read if self.counts else self.rows_duplicate

    @property
    def rows_landed(self) -> int:
        return self.counts.rows_landed if self.counts else 0

    @property
    def rows_quarantined(self) -> int:
        return self.counts.rows_quarantined if self.counts else 0
