"""Files of a platform's home that no database holds, as one archive.

What belongs here: which they are, and writing them. What does not: unpacking, which `tar` does.
"""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from repayment_platform.landing.inbox import inbox_of
from repayment_platform.whole_files import NotWritten, written_whole

RUN_LOGS = Path("dagster", "storage")
"""What runs have written to stdout and stderr, as Dagster shows it."""


def write_archive(home: Path, archive: Path) -> int:
    """Write the inboxes, with what has landed and failed, and the logs of runs to a `.tar.gz`.

    Returns how many files it holds. One that moves meanwhile has landed: it may be left out, so a
    dump of the database is to begin after this.

    Raises:
        NotWritten: it cannot be written, or a file got shorter while it was read.
    """
    count = 0
    with written_whole(archive) as (part, _), tarfile.open(part, "w:gz", compresslevel=6) as tar:
        for path in _paths(home):
            try:
                tar.add(path, path.relative_to(home), recursive=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise NotWritten(f"{archive}: {path}: {error}; write it again") from None
            count += path.is_file()
    return count


def _paths(home: Path) -> Iterator[Path]:
    for top in (inbox_of(home), home / RUN_LOGS):
        for folder, _, names in os.walk(top):
            yield Path(folder)
            yield from (Path(folder, name) for name in sorted(names))
