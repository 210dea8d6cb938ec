"""How fast a large NACH file lands, against a bare COPY of the same rows into the same table.

    .venv/bin/python -m bench.landing [--rows 500000] [--rounds 3]

Makes a CSV as a bank sends it, starts the embedded PostgreSQL (fsync on) in a scratch folder,
and in each round lands the file (all of `ingest_file`: fingerprint, reading, checking, COPY,
shared references, ANALYZE, the log) and COPYs the rows that it landed, from a file with all
columns worked out, into the same table with the same indexes, emptied before. What belongs
here: the measurement. What does not: whether the rows are right (the tests).
"""

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from repayment_platform.landing.files import ingest_file
from repayment_platform.settings import Settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

TABLE = "RAW_DMI_NACH_CSV"
HEADER = (
    "Sr No", "Loan Account Number", "Customer Name", "UMRN", "Presentation Date",
    "Settlement Date", "Amount", "Status", "Return Reason Code", "Return Reason",
    "UTR / Txn Ref", "Utility Code", "Presentation Reference",
)  # fmt: skip
Connection = psycopg.Connection[Any]


def write_file(path: Path, rows: int) -> None:
    """A bank's file: four of five debits succeed, amounts in lakh grouping now and then."""
    with path.open("w", newline="") as stream:
        write = csv.writer(stream).writerow
        write(HEADER)
        for n in range(rows):
            returned = n % 5 == 0
            write((
                n + 1, f"DMI-APP-{n % 250_000}", f"BORROWER {n % 9973}", f"HDFC{n % 250_000:016}",
                f"{n % 28 + 1:02}/11/2025", f"{n % 28 + 1:02}/11/2025",
                f"1,{n % 100:02},{n % 1000:03}.50" if n % 10 == 1 else f"{n % 90_000 + 500}.00",
                "BOUNCE" if returned else "SUCCESS", "04" if returned else "",
                "Balance Insufficient" if returned else "", f"ICIC{n // 400:012}",
                "NACH00000000000357", f"NPT{n:012}",
            ))  # fmt: skip


def timed(act: Any, *arguments: Any, **options: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = act(*arguments, **options)
    return time.perf_counter() - began, result


def empty(connection: Connection) -> None:
    """Begin each measurement alike: no rows, nothing left to write out."""
    connection.execute(f'TRUNCATE "RAW"."{TABLE}", "CORE"."CORE_FILE_LOG" CASCADE')
    connection.execute("CHECKPOINT")


def save_rows(connection: Connection, path: Path) -> None:
    with path.open("wb") as file, connection.cursor().copy(
        f'COPY "RAW"."{TABLE}" TO STDOUT'
    ) as copy:  # fmt: skip
        for block in copy:
            file.write(block)


def bare_copy(connection: Connection, path: Path) -> None:
    with path.open("rb") as file, connection.cursor().copy(
        f'COPY "RAW"."{TABLE}" FROM STDIN'
    ) as copy:  # fmt: skip
        while block := file.read(1 << 20):
            copy.write(block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-landing-") as home,
        warehouse(Settings(_env_file=None, repayment_home=Path(home))) as urls,
        psycopg.connect(urls.psycopg, autocommit=True) as connection,
    ):
        migrate(urls)
        file, rows = Path(home) / "nach.csv", Path(home) / "rows"
        write_file(file, arguments.rows)
        print(f"command  {' '.join(('python', *sys.argv))}")
        print(f"file     {file.stat().st_size / 1e6:.0f} MB, {arguments.rows:,} rows\n")
        print(f"{'round':<7}{'landing':>20}{'bare COPY':>20}{'ratio':>8}")
        ratios = []
        for number in range(1, arguments.rounds + 1):
            empty(connection)
            landing, result = timed(ingest_file, urls.psycopg, file, TABLE, received_by="bench")
            if result.rows_landed != arguments.rows:
                raise SystemExit(f"landed {result.rows_landed}: {result.error}")
            save_rows(connection, rows)
            empty(connection)
            copying, _ = timed(bare_copy, connection, rows)
            ratios.append(copying / landing)
            told = (f"{s:.1f} s {arguments.rows / s:>8,.0f}/s" for s in (landing, copying))
            print(f"{number:<7}{''.join(f'{each:>20}' for each in told)}{ratios[-1]:>8.2f}")
        print(f"\nmedian ratio {sorted(ratios)[len(ratios) // 2]:.2f} (wanted: at least 0.6)")


if __name__ == "__main__":
    main()
