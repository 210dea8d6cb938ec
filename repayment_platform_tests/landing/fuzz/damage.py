"""Damaged files: good ones that were cut, mixed up, re-encoded, or filled with nasty texts.

What belongs here: making them, all from one random generator. What does not: judging them.
"""

import csv
import io
import random
from collections.abc import Callable

from repayment_platform_tests.sources.reading import HEADER, NACH, SAMPLES, row, text_of
from repayment_platform_tests.sources.test_ach_debit import BOUNCED, PAID, header

Table = list[list[str]]

SEEDS: tuple[tuple[str, bytes], ...] = (
    *(
        (table, (SAMPLES / name).read_bytes())
        for table, name in (
            ("RAW_ARTHMATE_NACH_CSV", "nach_generic_lender_mis.csv"),
            ("RAW_DMI_PAYMENT_CSV", "payment_file_dmi_collection_update.csv"),
            ("RAW_VIVRITI_PAYMENT_CSV", "payment_file_vivriti_like.csv"),
            ("RAW_UGRO_PAYMENT_RAZORPAY", "razorpay_payments_report.csv"),
            ("RAW_UGRO_PAYMENT_RAZORPAY", "razorpay_settlement_recon_dashboard.csv"),
            ("RAW_GB_PAYMENT_CASHFREE", "cashfree_settlement_recon_two_section.csv"),
        )
    ),
    (NACH, text_of(*(row(Presentation_Reference=f"N{n}") for n in range(12))).encode()),
    (NACH, text_of(row(), row(), ["Total", "", "", "1000.00", *[""] * 5]).encode()),
    ("RAW_IKF_NACH_CSV", "\n".join([header(2, 2_130_050), PAID, BOUNCED]).encode()),
)
"""Good files of many kinds, with their sources."""
LONG = random.Random(1).randbytes(4000).hex()
"""What an index cannot hold: a text of one letter would be compressed to a few bytes."""
NASTY = (
    "", " ", "-", "nan", "NULL", "0", "-0", "=1+1", "+1", "@x", "'", "''", '"', '""', "\\", "\\N",
    "\\.", "\t", "\r", "\n", "\0", "\ufeff", "\u202e", "\U0001f4b8", "١٢٣", "१२३", "1e400", "NaN",
    "Infinity", "1_000", "4.255", "1,00,00", "(500)", "500 Dr", "-500", "₹", "Rs.", "9" * 40,
    "5E+11", "31/02/2025", "2025-11-06T00:00:00+05:30", "45981", "00/00/0000", "TOTAL",
    "Grand Total", "98", "{", "[]", '{"loan_id":1e999}', '{"loan_id":{}}', "[" * 600, "%s", "%",
    "{0}", ",", ";", "|", "\ud7ff", "\u2028", "\x85", "\x1c", "\x1a", "a\nb", 'a"b', LONG, LONG,
    f'{{"loan_id":"{LONG}"}}',
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32", "utf-7")
PIECES = (b"", b'"', b",", b"\n", b"\r", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b";",
          b"PK\3\4", b"<html>", b"\x80", b"\xed\xa0\x80", b"\xc3", b"''", b"%PDF")  # fmt: skip


def damaged(chance: random.Random) -> tuple[str, bytes]:
    """A source and a file for it, damaged in one to three ways."""
    source, content = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 3)):
        content = chance.choice(WAYS)(chance, content)
    return source, content


def _change_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.randint(0, 30))
        piece = chance.choice((*PIECES, chance.randbytes(3), bytes(changed[at:end]) * 2))
        changed[at:end] = piece
    return bytes(changed)


def _flip_bits(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content or b"x")
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _reencode(chance: random.Random, content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode(chance.choice(ENCODINGS), "replace")


def _of_table(change: Callable[[random.Random, Table], None]) -> Callable[..., bytes]:
    """A way to damage rows and cells, whatever the bytes are by now."""

    def changed(chance: random.Random, content: bytes) -> bytes:
        text = content.decode("utf-8", "replace").replace("\0", "")
        table = list(csv.reader(io.StringIO(text[:100_000], newline=""))) or [[]]
        change(chance, table)
        stream = io.StringIO(newline="")
        delimiter = chance.choice(",,,,\t;|")
        quoting = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        csv.writer(stream, delimiter=delimiter, quoting=quoting).writerows(table)
        return stream.getvalue().encode("utf-8", "surrogatepass")

    return changed


def _put_nasty_cells(chance: random.Random, table: Table) -> None:
    for _ in range(chance.randint(1, 5)):
        cells = chance.choice(table)
        if cells:
            cells[chance.randrange(len(cells))] = chance.choice(NASTY)


def _move_columns(chance: random.Random, table: Table) -> None:
    widest = max(map(len, table))
    order = chance.sample(range(widest), widest)
    for cells in table:
        cells[:] = [cells[at] for at in order if at < len(cells)]


def _spoil_header(chance: random.Random, table: Table) -> None:
    cells = max(table, key=len)
    for _ in range(chance.randint(1, 3)):
        if cells:
            at = chance.randrange(len(cells))
            cells[at] = chance.choice(
                (cells[at].upper(), f" {cells[at]} ", "", cells[0], *HEADER, *NASTY)
            )


def _mix_rows(chance: random.Random, table: Table) -> None:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(table))
        choice = chance.randrange(5)
        if choice == 0:
            table.insert(at, list(chance.choice(table)))
        elif choice == 1 and len(table) > 1:
            del table[at]
        elif choice == 2:
            table.insert(at, [])
        elif choice == 3:
            table[at] = table[at][: chance.randrange(len(table[at]) + 1)]
        else:
            table[at] = [*table[at], chance.choice(NASTY)]


WAYS = (
    _change_bytes,
    _flip_bits,
    _cut,
    _reencode,
    _of_table(_put_nasty_cells),
    _of_table(_put_nasty_cells),
    _of_table(_move_columns),
    _of_table(_spoil_header),
    _of_table(_mix_rows),
)
