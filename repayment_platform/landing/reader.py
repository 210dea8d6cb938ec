"""The process that reads one foreign file: `python -m repayment_platform.landing.reader`.

What belongs here: its bounds, and sending what is read to the process that started it. What does
not: starting it (`reading`), the database, of which it knows nothing, understanding the file
(`sources`).

On its standard input it is told what to read. On its standard output it sends frames: a letter, the
length of what follows as four bytes, and that. It may end at any moment; whoever started it then
knows that the file is to blame, and why.
"""

import gc
import json
import os
import pickle
import resource
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from repayment_platform.landing.copy_text import landed_lines, refused_lines
from repayment_platform.sources.encodings import Fingerprint
from repayment_platform.sources.file_rows import FileRows
from repayment_platform.sources.formats import open_table
from repayment_platform.sources.refusals import FileReason, FileRefused
from repayment_platform.sources.registry import Source

FRAME_BYTES = 1 << 18
"""Lines for RAW that are sent at once."""
OBJECTS_UNTIL_COLLECTION = 100_000
"""Rows are many small objects none of which is in a circle: looking for one so often as Python does
takes a third of the time."""
OUT_OF_MEMORY = 70
"""Exit code: it took more memory than it may."""
_LOG_BYTES = 1 << 20


class Frame(bytes, Enum):
    """What a frame holds."""

    LANDED = b"L"
    """Lines for RAW."""
    QUARANTINED = b"Q"
    """Lines for the quarantine."""
    POSITION = b"P"
    """Bytes of the file that have been read, in words."""
    END = b"E"
    """JSON: what was in the file."""
    REFUSED = b"R"
    """JSON: a code of `FileReason` and the reason."""


@dataclass(frozen=True)
class Order:
    """What to read, and within which bounds."""

    path: Path
    source: Source
    seen: Fingerprint
    file_id: int
    memory_bytes: int
    seconds: int
    """Of the processor."""


def frames(order: Order) -> Iterator[tuple[Frame, bytes]]:
    """What the file holds, as frames.

    Raises:
        FileRefused: it cannot be taken.
    """
    table = open_table(order.path, order.seen, order.source.layouts)
    rows = FileRows(order.source, table)
    waiting = bytearray()
    for batch in rows:
        # A batch at once becomes bytes, or more rows would be held than the processor's cache does.
        if batch.landed:
            waiting += landed_lines(order.file_id, batch.landed)
        if batch.refused:
            yield (
                Frame.QUARANTINED,
                refused_lines(order.source.table, order.file_id, batch.refused),
            )
        if len(waiting) >= FRAME_BYTES or batch.refused:
            yield Frame.LANDED, bytes(waiting)
            yield Frame.POSITION, b"%d" % table.position()
            waiting.clear()
    yield Frame.LANDED, bytes(waiting)
    yield Frame.POSITION, b"%d" % table.position()
    totals = rows.totals.as_json()
    if rows.columns:
        totals["columns"] = list(rows.columns)
    told = {
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "layout": table.header.layout.name,
        "outcomes": dict(rows.outcomes),
        "control_totals": totals,
    }
    yield Frame.END, json.dumps(told).encode()


def keep_within(memory_bytes: int, seconds: int) -> None:
    """Bound this process: memory, processor time, what it writes to disk.

    Where the system has no bound on memory (macOS takes it and does nothing), it watches itself.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LOG_BYTES, _LOG_BYTES))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    else:
        threading.Thread(target=_watch, args=(memory_bytes,), daemon=True).start()


def _watch(memory_bytes: int) -> None:
    while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < memory_bytes:  # bytes on macOS
        time.sleep(0.1)
    os._exit(OUT_OF_MEMORY)


def main() -> None:
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - by the process that started this
    out = sys.stdout.buffer
    keep_within(order.memory_bytes, order.seconds)
    gc.freeze()
    gc.set_threshold(OBJECTS_UNTIL_COLLECTION)
    try:
        for kind, content in frames(order):
            _send(out, kind, content)
    except FileRefused as refusal:
        _refuse(out, refusal.code, refusal.reason)
    except OSError as error:
        _refuse(out, FileReason.UNREADABLE_FILE, error.strerror or "it cannot be read")
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _send(out: BinaryIO, kind: Frame, content: bytes) -> None:
    out.write(kind.value + len(content).to_bytes(4) + content)
    out.flush()


def _refuse(out: BinaryIO, code: FileReason, reason: str) -> None:
    _send(out, Frame.REFUSED, json.dumps({"code": code.value, "reason": reason}).encode())


if __name__ == "__main__":
    main()
