"""A file of all that the database holds: written whole or not at all, and read back so.

What belongs here: PostgreSQL's own programs, and what must hold before they run. What does not:
what is printed (`commands.backup`), and what to think of besides (`docs/backup.md`).
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.cluster import program
from repayment_platform.warehouse.migrate import may_migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.whole_files import written_whole

SCHEMAS = ("BASE", "CORE", "RAW", "dagster", "public")
"""All that is the platform's; Dagster's own records are in it, so its run keys come back too."""
_OWNER = "set MIGRATION_DATABASE_URL to the address of the tables' owner"
_OURS_IN_PUBLIC = ("alembic_version",)
_WITNESSES = ("CORE_FILE_LOG", "CORE_POSTING_ATTEMPT", "CORE_AUDIT_LOG")
"""With RAW, what has no row in a warehouse that nobody has used."""
LOOK_SECONDS = 0.5
_PUBLIC = ("CREATE SCHEMA public;", "GRANT USAGE ON SCHEMA public TO PUBLIC;")
"""As a new database has it: without the second, no part can read at which revision it is."""
LEAVING_SECONDS = 2.0
"""A session is seen for a moment after its end; our own may be such."""
LOCK_SECONDS = 10
"""For somebody who has come in since it was seen that nobody is there."""

# Of sessions of another role the owner sees little; autovacuum has no user.
_OTHERS = """
SELECT coalesce(nullif(application_name, ''), 'process ' || pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
  AND coalesce(backend_type, 'client backend') = 'client backend'
ORDER BY 1
"""
_STRANGE = r"""
SELECT c.oid::regclass::text
FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (n.nspname <> ALL (%(ours)s)
       OR (n.nspname = 'public' AND c.relname <> ALL (%(in_public)s)))
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
ORDER BY 1
"""
_TABLES = """
SELECT n.nspname, c.relname
FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = ANY (%s)
ORDER BY 1, 2
"""
# pg_restore writes it whatever the server's version; before 17 no server knows it.
_SINCE_17 = b"SET transaction_timeout = 0;\n"
_HEAD_LINES = 40
_CHUNK = 1 << 20

Say = Callable[[int], None]
"""Is told how many bytes are done."""


class DumpError(WarehouseUnavailable):
    """It cannot be written or read; the message is one line that says why, and what stands."""


def write(urls: DatabaseUrls, file: Path, say: Say = lambda _done: None) -> None:
    """Write the whole database, as of one moment, to a file that only its owner may read.

    What stood there before stays until the new one is whole and on the disk.

    Raises:
        DumpError: this role may not read all, or PostgreSQL fails.
        NotWritten: another is writing it, or it cannot be made.
    """
    if not may_migrate(urls.owner or urls):
        raise DumpError(f"this role may not read all: {_OWNER}")
    with written_whole(file) as (part, lock):
        arguments = ("--format=custom", f"--file={part}", f"--dbname={_owners(urls)}")
        with _running("pg_dump", *arguments, keeps=(lock,)) as dumping:
            while dumping.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    dumping.wait(LOOK_SECONDS)
                say(os.fstat(lock).st_size)


def check(file: Path) -> str:
    """Prove that a file is a platform's dump, which this PostgreSQL reads; says when it was begun.

    Raises:
        DumpError: it is none.
    """
    with _running("pg_restore", "--list", str(file), stdout=subprocess.PIPE) as listing:
        said = _pipe(listing.stdout).read().decode(errors="replace")
    if " TABLE CORE CORE_FILE_LOG " not in said:
        raise DumpError(f"{file} is a dump of another database, not of a platform's")
    return said.partition("Archive created at ")[2].partition("\n")[0]


def replace(urls: DatabaseUrls, file: Path, say: Say = lambda _done: None) -> None:
    """Have the database be what it was when the file was written: all of it, or nothing changes.

    Raises:
        DumpError: others use the database, it holds what is not the platform's, this role may not
            make it anew, or the file ends early or is damaged.
    """
    with psycopg.connect(_owners(urls), autocommit=True) as connection:
        _may_be_replaced(urls, connection)
        before_17 = connection.info.server_version < 170_000
    wanted = ("--no-owner", "--no-privileges", "--file=-", str(file))
    psql = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={_owners(urls)}")
    stands = "the database is as it was"
    try:
        with (
            _running("pg_restore", *wanted, stdout=subprocess.PIPE) as source,
            _running("psql", *psql, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as sink,
            suppress(BrokenPipeError),  # psql has ended, and is asked why
            _pipe(sink.stdin) as script,
        ):
            script.write(_begin())
            _copy(_pipe(source.stdout), script, before_17, say)
            # Without a COMMIT psql ends, and all that it has done is undone.
            if source.wait():
                raise DumpError(source.said())
            stands = "whether it was restored is not known: restore it again"
            script.write(b"COMMIT;\n")
    except DumpError as error:
        raise DumpError(f"{error}; {stands}") from None
    with psycopg.connect(_owners(urls), autocommit=True) as connection:
        connection.execute("ANALYZE")  # or the first run plans without knowing any table


def empty(urls: DatabaseUrls) -> bool:
    """Whether nothing has ever landed, been posted or been decided there."""
    with psycopg.connect(_owners(urls), autocommit=True) as connection:
        for schema, name in connection.execute(_TABLES, (["RAW", "CORE"],)).fetchall():
            if schema == "RAW" or name in _WITNESSES:
                found = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
                    sql.Identifier(schema, name)
                )
                row = connection.execute(found).fetchone()
                if row and row[0]:
                    return False
    return True


def rows(urls: DatabaseUrls) -> dict[str, int]:
    """How many rows each schema of the platform holds, counted."""
    counted = dict.fromkeys(SCHEMAS, 0)
    with psycopg.connect(_owners(urls), autocommit=True) as connection:
        for schema, name in connection.execute(_TABLES, (list(SCHEMAS),)).fetchall():
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name))
            row = connection.execute(count).fetchone()
            counted[schema] += int(row[0]) if row else 0
    return counted


def _owners(urls: DatabaseUrls) -> str:
    """As the role that may read everything, and make it anew."""
    return (urls.owner or urls).psycopg


def _may_be_replaced(urls: DatabaseUrls, connection: psycopg.Connection[Any]) -> None:
    if not may_migrate(urls.owner or urls):
        raise DumpError(f"this role may not make the tables anew: {_OWNER}")
    deadline = time.monotonic() + LEAVING_SECONDS
    while others := _column(connection.execute(_OTHERS)):
        if time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        raise DumpError(f"the database is in use by {_some(others)}: stop the platform first")
    names = {"ours": list(SCHEMAS), "in_public": list(_OURS_IN_PUBLIC)}
    if strange := _column(connection.execute(_STRANGE, names)):
        raise DumpError(
            f"the database holds what is not the platform's, {_some(strange)}: give the platform a "
            "database of its own, or take that away first"
        )


def _column(cursor: psycopg.Cursor[Any]) -> list[str]:
    return [str(value) for (value,) in cursor]


def _some(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def _begin() -> bytes:
    """Takes away what is there, in the transaction that brings back what was."""
    drops = (f'DROP SCHEMA IF EXISTS "{schema}" CASCADE;' for schema in SCHEMAS)
    wait = f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s';"
    quiet = "SET LOCAL client_min_messages = warning;"
    return "\n".join(("BEGIN;", wait, quiet, *drops, *_PUBLIC, "")).encode()


def _copy(source: IO[bytes], script: IO[bytes], before_17: bool, say: Say) -> None:
    for line in islice(source, _HEAD_LINES):
        if not (before_17 and line == _SINCE_17):
            script.write(line)
    done = 0
    while chunk := source.read(_CHUNK):
        script.write(chunk)
        done += len(chunk)
        say(done)


class _Program(subprocess.Popen[bytes]):
    """One of PostgreSQL's programs, and the file to which it writes its errors."""

    def __init__(
        self, name: str, arguments: Sequence[str], errors: IO[bytes], **pipes: Any
    ) -> None:
        self.name, self._errors = name, errors
        super().__init__((program(name), *arguments), stderr=errors, **pipes)

    def said(self) -> str:
        """Why it has failed, as one line."""
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").split()
        return " ".join(words) or f"{self.name} ended with {self.returncode}"


@contextmanager
def _running(
    name: str,
    *arguments: str,
    keeps: Sequence[int] = (),
    stdin: int | None = None,
    stdout: int | None = None,
) -> Iterator[_Program]:
    """A program that has ended when the block has.

    Raises:
        DumpError: it failed, with what it said.
    """
    with (
        tempfile.TemporaryFile() as errors,
        _Program(name, arguments, errors, stdin=stdin, stdout=stdout, pass_fds=keeps) as process,
    ):
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        if process.wait():
            raise DumpError(process.said())


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end  # noqa: S101 - it was asked for
    return end
