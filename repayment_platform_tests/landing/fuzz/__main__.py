"""The long form: `.venv/bin/python -m repayment_platform_tests.landing.fuzz [--inputs 100000]`.

Reads every damaged file without a database, lands every 25th in an embedded PostgreSQL as well,
with the log, RAW and the quarantine compared, and prints what became of them. Input n is made
from seed n, so a violation is played again with `--first n --inputs 1`; its file is kept.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import psycopg
from rich.console import Console
from rich.progress import track

from repayment_platform.settings import Settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse
from repayment_platform_tests.landing.fuzz.damage import damaged
from repayment_platform_tests.landing.fuzz.judge import land, read

KEPT = Path("fuzz-violation.bin")
console = Console()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--land-every", type=int, default=25)
    arguments = parser.parse_args()
    numbers = range(arguments.first, arguments.first + arguments.inputs)
    found: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as home,
        warehouse(Settings(_env_file=None, repayment_home=Path(home))) as urls,
        psycopg.connect(urls.psycopg, autocommit=True) as connection,
    ):
        migrate(urls)
        connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        file = Path(home) / "file"
        for number in track(numbers, "damaged files", console=console):
            source, content = damaged(random.Random(number))
            file.write_bytes(content)
            try:
                found += read(file, source)
                if number % arguments.land_every == 0:
                    found[f"landed as {land(connection, urls.psycopg, file, source).status}"] += 1
            except Exception:  # shown with its file, and raised again
                shutil.copy(file, KEPT)
                console.print(f"input {number}, {source}: kept as {KEPT}")
                raise
    console.print(f"{arguments.inputs:,} inputs from seed {arguments.first}, no rule broken")
    for name, count in sorted(found.items()):
        console.print(f"{name:<32}{count:>10,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
