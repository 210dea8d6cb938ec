"""Files that appear whole and on the disk, or not at all.

What belongs here: the file beside, its lock, the change of places. What does not: what is written.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


class NotWritten(RuntimeError):
    """A file cannot be written; the message is one line that says why."""


@contextmanager
def written_whole(file: Path) -> Iterator[tuple[Path, int]]:
    """A file for its owner only, and its lock, that takes the place of `file` when the block ends
    well; when it does not, nothing is left of it, and what stood there stays.

    Whoever is to go on writing if we are killed inherits the lock, or the next would write with it.

    Raises:
        NotWritten: another is writing it, or it cannot be made.
    """
    part = file.with_name(f"{file.name}.part")
    with ExitStack() as stack:
        try:
            lock = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock), part.stat()):
                raise BlockingIOError  # by the time of the lock it was whole and moved
        except (BlockingIOError, FileNotFoundError) as error:
            if file.parent.is_dir():
                raise NotWritten(f"{file} is just being written by another command") from None
            raise NotWritten(f"{file} cannot be written: {error.strerror}") from None
        except OSError as error:
            raise NotWritten(f"{file} cannot be written: {error.strerror}") from None
        try:
            os.fchmod(lock, 0o600)
            os.ftruncate(lock, 0)
            yield part, lock
            os.fsync(lock)
            part.replace(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync(file.absolute().parent)


def _sync(folder: Path) -> None:
    """Have the disk know the names in it."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
