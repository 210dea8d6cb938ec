"""What kind of bytes a file holds: its fingerprint, its container, its text encoding.

What belongs here: looking at bytes. What does not: delimiters, headers and rows.
"""

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path

from repayment_platform.sources.refusals import FileReason, FileRefused

SHEET = "sheet"
"""What `Fingerprint.encoding` says of a workbook, which has no text encoding."""

_BLOCK = 1 << 20
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_NOT_TABLES = {
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


@dataclass(frozen=True)
class Fingerprint:
    """What one reading of all bytes of a file tells."""

    sha256: str
    size_bytes: int
    head: bytes
    """Its first bytes."""
    is_utf8: bool
    """Whether it is UTF-8, but perhaps for a few damaged bytes."""
    is_damaged: bool
    """Whether there are bytes that are not UTF-8."""


def fingerprint(path: Path) -> Fingerprint:
    """Read the file once, block by block.

    Raises:
        OSError: it cannot be read.
    """
    digest, size, head = hashlib.sha256(), 0, b""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    bad = beyond_ascii = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            head = head or block[:4096]
            digest.update(block)
            size += len(block)
            text = decoder.decode(block)
            if not text.isascii():
                replaced = text.count(_REPLACED)
                bad += replaced - block.count(_REPLACED.encode())
                beyond_ascii += len(text.encode()) - len(text) - 2 * replaced
    bad += len(decoder.decode(b"", final=True))
    return Fingerprint(digest.hexdigest(), size, head, bad <= 0 or beyond_ascii >= bad, bad > 0)


def encoding_of(seen: Fingerprint) -> str:
    """The encoding to read the file in, or `SHEET` for a workbook (XLSX, XLS).

    A byte order mark decides, then the pattern of zero bytes that UTF-16 leaves, then whether
    all bytes are UTF-8; what remains is Windows-1252, the other thing Indian exports are in.

    Raises:
        FileRefused: EMPTY_FILE, or NOT_A_TABLE for a known kind of file that holds no table.
    """
    head = seen.head
    if not head.strip():
        raise FileRefused(FileReason.EMPTY_FILE, "the file is empty")
    if head.startswith(_SHEETS):
        return SHEET
    for magic, kind in _NOT_TABLES.items():
        if head.startswith(magic):
            raise FileRefused(FileReason.NOT_A_TABLE, f"the file is {kind}")
    if head.lstrip()[:1] == b"<":
        raise FileRefused(
            FileReason.NOT_A_TABLE, "the file is HTML or XML; save it as CSV or XLSX and send that"
        )
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    if head[::2].count(0) > len(head) // 4:
        return "utf-16-be"
    return "utf-8" if seen.is_utf8 else "cp1252"
