"""The checks of `./run doctor`: whether this installation can do its work, and what to do if not.

What belongs here: each check but those of Fineract (`fineract_checks`), with advice. What does
not: putting anything right, and trouble with payments (`findings`). No check changes anything, at
Fineract or in the database.
"""

import os
import shutil
from collections.abc import Callable, Iterator

import psycopg

from repayment_platform.monitoring.check import Check, skew
from repayment_platform.monitoring.fineract_checks import fineract_checks
from repayment_platform.settings import Settings
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.migrate import is_current
from repayment_platform.warehouse.rights import too_little, too_much
from repayment_platform.warehouse.urls import DatabaseUrls

LEAST_FREE_BYTES = 2 * 1024**3
LEAST_FREE_SHARE = 0.05
HEARTBEAT_SECONDS = 180
_HEARTBEAT = """
SELECT extract(epoch FROM localtimestamp - max(timestamp)) FROM dagster.daemon_heartbeats
"""


def examine(settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Every check, one after another; each catches what its own subject can raise."""
    checks: tuple[Callable[[Settings, DatabaseUrls], Iterator[Check]], ...] = (
        _database,
        _dbt,
        fineract_checks,
        _secrets,
        _disk,
        _daemon,
    )
    for check in checks:
        yield from check(settings, urls)


def _database(_settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    try:
        with psycopg.connect(urls.psycopg, autocommit=True, connect_timeout=10) as connection:
            version = connection.info.parameter_status("server_version")
            row = connection.execute("SELECT clock_timestamp()").fetchone()
    except psycopg.OperationalError as error:
        yield Check("database", False, _line(error), "start PostgreSQL, or correct DATABASE_URL")
        return
    yield Check("database", True, f"PostgreSQL {version}")
    yield skew("clock of the database", row[0] if row else None)
    current = is_current(urls)
    seen = "up to date" if current else "not the newest"
    yield Check("migrations", current, seen, "./run migrate, as the role that owns the tables")
    if current:
        yield _rights(urls)


def _rights(urls: DatabaseUrls) -> Check:
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        lacking, excess = too_little(connection), too_much(connection)
    advice = "give DATABASE_URL the role repayment_application: docs/deployment.md, Roles"
    if lacking:
        seen = f"{urls.user} may not {'; '.join(lacking[:3])} ({len(lacking)} in all)"
        return Check("rights", False, seen, f"./run migrate grants them; else {advice}")
    if excess:
        seen = f"{urls.user} may {'; '.join(excess[:3])} ({len(excess)} in all), and need not"
        return Check("rights", False, seen, advice)
    return Check("rights", True, f"{urls.user} adds, and changes nothing that has happened")


def _dbt(_settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    try:
        dbt.prepare()
    except (dbt.DbtFailed, OSError) as error:
        yield Check("dbt", False, _line(error), "the project does not parse: see ./run dbt parse")
        return
    yield Check("dbt", True, "the project parses")


def _secrets(settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    for source in SOURCES.values():
        if source.kind is Kind.FILE:
            continue
        name = f"{source.kind.upper()}_WEBHOOK_SECRETS_{source.lender}"
        count = len(settings.webhook_secrets(source.kind, source.lender))
        # `./run up` with the sandbox makes secrets up: no money moves there.
        right = count > 0 or settings.uses_sandbox
        seen = f"{count} set" if count else "not set: its webhooks are refused"
        if not count and settings.uses_sandbox:
            seen = "not set: with the sandbox the sample data's stands in"
        yield Check(name, right, seen, f"set {name} to the secret in the gateway's dashboard")


def _disk(settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    settings.home.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(settings.home)
    right = disk.free >= LEAST_FREE_BYTES and disk.free >= LEAST_FREE_SHARE * disk.total
    seen = f"{disk.free / 1024**3:.1f} GiB of {disk.total / 1024**3:.1f} free"
    yield Check("disk", right, seen, f"make room where {settings.home} is")
    writable = os.access(settings.home, os.W_OK)
    seen = "writable" if writable else "not writable"
    yield Check("home", writable, seen, f"give this user {settings.home}")


def _daemon(_settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    advice = "nothing runs by itself without it: ./run up, or start its service"
    try:
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            row = connection.execute(_HEARTBEAT).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    except psycopg.OperationalError as error:
        yield Check("Dagster's daemon", False, _line(error), advice)
        return
    age = float(row[0]) if row and row[0] is not None else None
    seen = "has never run" if age is None else f"last seen {age:.0f} s ago"
    yield Check("Dagster's daemon", age is not None and age < HEARTBEAT_SECONDS, seen, advice)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
