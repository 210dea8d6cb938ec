"""Reading a file in a process of its own, whose death is a file that cannot be taken.

What belongs here: starting and ending that process, and what its end means in words. What does not:
what it does (`reader`), storing what it sends (`files`).

It gets nothing of this process but the order: no secrets, no database. Nothing that it sends is
trusted with more than to be lines of a COPY or JSON.
"""

import json
import logging
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from repayment_platform.landing.reader import OUT_OF_MEMORY, Frame, Order
from repayment_platform.settings import Settings
from repayment_platform.sources.encodings import Fingerprint
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import Source

_ROOT = Path(__file__).resolve().parents[2]
_KINDS = {frame.value for frame in Frame}
_AHEAD = 1 << 20
"""Bytes that the reader may be ahead of what is stored."""
_TOLD_OF_END = 2000
"""Characters of its last words that the log of the platform keeps."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What reading one file may take (settings FILE_MEMORY_MB and FILE_SECONDS)."""

    memory_mb: int = 1024
    seconds: int = 900
    """Of the processor, and of silence."""

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(settings.file_memory_mb, settings.file_seconds)


@contextmanager
def reading(
    path: Path, source: Source, seen: Fingerprint, file_id: int, limits: Limits
) -> Iterator[Iterator[tuple[Frame, bytes]]]:
    """The frames that the reader of a file sends, the last of them its `END`.

    Raises:
        FileRefused: the reader refuses it, or has ended; TOO_LARGE, TOO_SLOW or UNREADABLE_FILE.
    """
    memory, seconds = limits.memory_mb << 20, limits.seconds
    order = Order(path.absolute(), source, seen, file_id, memory, seconds)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            (sys.executable, "-X", "utf8", "-m", "repayment_platform.landing.reader"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            pipesize=_AHEAD,
            cwd=_ROOT,
            env={
                "PATH": os.environ.get("PATH", ""),
                "MALLOC_ARENA_MAX": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
        try:
            _tell(process, order)
            yield _frames(process, limits, errors)
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _tell(process: "subprocess.Popen[bytes]", order: Order) -> None:
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    try:
        process.stdin.write(pickle.dumps(order))
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has ended, and why is told when its frames are read


def _frames(
    process: "subprocess.Popen[bytes]", limits: Limits, errors: IO[bytes]
) -> Iterator[tuple[Frame, bytes]]:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    pipe = process.stdout.fileno()
    while len(head := _read(pipe, 5, limits)) == 5 and head[:1] in _KINDS:
        kind, content = Frame(head[:1]), _read(pipe, int.from_bytes(head[1:]), limits)
        if kind is Frame.REFUSED:
            told = json.loads(content)
            raise FileRefused(FileReason(told["code"]), told["reason"])
        yield kind, content
        if kind is Frame.END:
            return
    process.stdout.close()  # if it still writes, it ends now
    raise _why_ended(process.wait(limits.seconds), limits, errors)


def _read(pipe: int, size: int, limits: Limits) -> bytes:
    """So many bytes, fewer when the process has ended.

    Raises:
        FileRefused: TOO_SLOW; nothing has come for as long as reading may take.
    """
    pieces: list[bytes] = []
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while size > 0:
            if not waiting.select(limits.seconds):
                raise _too_slow(limits)
            if not (piece := os.read(pipe, size)):
                break
            pieces.append(piece)
            size -= len(piece)
    return b"".join(pieces)


def _why_ended(code: int, limits: Limits, errors: IO[bytes]) -> FileRefused:
    errors.seek(0)
    last = errors.read().decode(errors="replace")[-_TOLD_OF_END:]
    log.warning("the reader of a file ended with %s: %s", code, last)
    if code == -signal.SIGXCPU:
        return _too_slow(limits)
    # Libraries of other languages end the process when they get no memory, the system kills it.
    killed = code in (OUT_OF_MEMORY, -signal.SIGKILL, -signal.SIGABRT)
    if killed or "MemoryError" in last or "memory allocation" in last:
        return FileRefused(
            FileReason.TOO_LARGE,
            f"reading it takes more than {limits.memory_mb:,} MB of memory, which is more than one "
            "file may have (FILE_MEMORY_MB); save only the sheet with the payments as CSV, and "
            "send that",
        )
    return FileRefused(
        FileReason.UNREADABLE_FILE,
        "the file could not be read, it may be damaged; open it, save it as CSV, and send that. "
        "The platform's own log says more",
    )


def _too_slow(limits: Limits) -> FileRefused:
    return FileRefused(
        FileReason.TOO_SLOW,
        f"reading it takes longer than {limits.seconds:,} seconds, which is longer than one file "
        "may take (FILE_SECONDS); send it in several files, as CSV",
    )
