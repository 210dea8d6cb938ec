"""The inbox: a folder per source where finished files are dropped and taken from.

What belongs here: knowing which files are finished, landing each, moving it out of the way.
What does not: watching the folders (Dagster does), landing itself (`files`).

`<home>/inbox/<RAW_TABLE>/` holds what is to be landed; landed files and duplicates move to
its `.landed/`, files that cannot be taken to its `.failed/`. A process may die at any point:
a file that had landed but was not moved yet is found again and is a duplicate then.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from repayment_platform.file_locks import alone
from repayment_platform.landing.files import ingest_file, printable_name
from repayment_platform.landing.reading import Limits
from repayment_platform.landing.results import FileResult, FileStatus
from repayment_platform.settings import make_private
from repayment_platform.sources.refusals import FileReason
from repayment_platform.sources.registry import SOURCES, Kind

SETTLED_SECONDS = 5.0
"""A file that was written to within these seconds may still be growing."""
LOCK_SECONDS = 1800.0
"""Many great files take another process as long."""
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".swp", "~")
"""Endings that browsers, SFTP clients and editors give to files they are still writing."""


@dataclass(frozen=True)
class WaitingFile:
    path: Path
    source_id: str
    """The name of the folder it lies in."""


def inbox_of(home: Path) -> Path:
    """The inbox of this platform, with a folder for every source that sends files."""
    inbox = home / "inbox"
    make_private(home)
    make_private(inbox)
    for source in SOURCES.values():
        if source.kind is Kind.FILE:
            make_private(inbox / source.table)
    return inbox


@dataclass(frozen=True)
class Taken:
    """What came of the files of one source."""

    results: list[FileResult] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """What kept a file from landing that nothing should, a database that is away for one: it
    stays where it is."""


def waiting_files(home: Path) -> list[WaitingFile]:
    """Finished files, the oldest first. Changes nothing.

    Over all sources: which of two reports of a payment came first decides its key for ever, and
    files that are dropped once more after a restore are to come as they came before.
    """
    found = [
        WaitingFile(path, folder.name)
        for folder in inbox_of(home).iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
        for path in folder.iterdir()
        if _is_finished(path)
    ]
    return sorted(found, key=lambda file: (file.path.stat().st_mtime, file.path))


def land_inbox(
    conninfo: str,
    home: Path,
    *,
    received_by: str,
    sources: Collection[str] | None = None,
    limits: Limits | None = None,
) -> dict[str, Taken]:
    """Land every finished file, of these sources if given, by source; one process at a time does
    it. Whatever keeps a file from landing keeps no other.

    Raises:
        LockNotHad: another process has landed for all of `LOCK_SECONDS`.
    """
    taken: dict[str, Taken] = defaultdict(Taken)
    with _alone(inbox_of(home)):
        for waiting in waiting_files(home):
            if sources is None or waiting.source_id in sources:
                try:
                    result = _land(conninfo, waiting, received_by, limits)
                    taken[waiting.source_id].results.append(result)
                except Exception as failure:  # noqa: BLE001 - with whatever it is, the next may land
                    failure.add_note(f"{waiting.source_id}: {printable_name(waiting.path)}")
                    taken[waiting.source_id].failures.append(failure)
    return taken


def _land(
    conninfo: str, waiting: WaitingFile, received_by: str, limits: Limits | None
) -> FileResult:
    result = ingest_file(
        conninfo, waiting.path, waiting.source_id, received_by=received_by, limits=limits
    )
    if result.reason_code is not FileReason.FILE_CHANGED:  # that one was not finished after all
        done = ".failed" if result.status is FileStatus.FAILED else ".landed"
        _move(waiting.path, waiting.path.parent / done, result.file_id)
    return result


def _is_finished(path: Path) -> bool:
    if path.name.startswith(".") or path.name.lower().endswith(UNFINISHED) or not path.is_file():
        return False
    return abs(time.time() - path.stat().st_mtime) >= SETTLED_SECONDS


def _move(path: Path, folder: Path, file_id: int) -> None:
    """Move without ever overwriting: a name in use gets the file's id in the log."""
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    try:
        target.touch(exist_ok=False)
    except FileExistsError:
        target = folder / f"{path.stem}.{file_id}{path.suffix}"
        target.touch(exist_ok=False)
    path.replace(target)


@contextmanager
def _alone(inbox: Path) -> Iterator[None]:
    """Hold the inbox's lock; the operating system frees it when the process ends."""
    with alone(inbox / ".lock", "land the inbox", LOCK_SECONDS):
        yield
