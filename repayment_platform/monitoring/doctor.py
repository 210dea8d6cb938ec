"""The checks of `./run doctor`: whether this installation can do its work, and what to do if not.

What belongs here: each check, with advice. What does not: putting anything right, and trouble
with payments (`findings`). No check changes anything, at Fineract or in the database.
"""

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import psycopg

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LookupFailed
from repayment_platform.settings import Settings
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.migrate import is_current
from repayment_platform.warehouse.urls import DatabaseUrls

LARGEST_SKEW_SECONDS = 5.0
"""Settle times are told by the database's clock; a repayment's day by this machine's."""
LEAST_FREE_BYTES = 2 * 1024**3
LEAST_FREE_SHARE = 0.05
HEARTBEAT_SECONDS = 180
DEFAULT_LOGIN = ("mifos", "password")
LOCAL = ("localhost", "127.0.0.1", "::1")
_HEARTBEAT = """
SELECT extract(epoch FROM localtimestamp - max(timestamp)) FROM dagster.daemon_heartbeats
"""


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it is right, what was seen, and what to do if it is not."""

    name: str
    right: bool
    seen: str
    advice: str = ""


def examine(settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Every check, one after another; each catches what its own subject can raise."""
    checks: tuple[Callable[[Settings, DatabaseUrls], Iterator[Check]], ...] = (
        _database,
        _dbt,
        _fineract,
        _login,
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
    yield _skew("clock of the database", row[0] if row else None)
    current = is_current(urls)
    seen = "up to date" if current else "not the newest"
    yield Check("migrations", current, seen, "any command of ./run that uses the database migrates")


def _dbt(_settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    try:
        dbt.prepare()
    except (dbt.DbtFailed, OSError) as error:
        yield Check("dbt", False, _line(error), "the project does not parse: see ./run dbt parse")
        return
    yield Check("dbt", True, "the project parses")


def _fineract(settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    """A transaction that cannot be there is looked up on a loan that cannot be there."""
    where = "the built-in sandbox" if settings.uses_sandbox else settings.base_url
    try:
        answer = httpx.get(
            settings.base_url.removesuffix("/api/v1") + "/actuator/info",
            timeout=settings.timeout_seconds,
        )
    except httpx.HTTPError as error:
        advice = "is Fineract up, and FINERACT_BASE_URL its address, as seen from here?"
        yield Check("Fineract", False, f"{where}: {_line(error)}", advice)
        return
    yield Check("Fineract", True, f"{where}, {_version(answer)}")
    date = answer.headers.get("date")
    yield _skew("clock of Fineract", parsedate_to_datetime(date) if date else None)
    looked_up = asyncio.run(_look_up(settings))
    failed = isinstance(looked_up, LookupFailed)
    seen = looked_up.why if isinstance(looked_up, LookupFailed) else "a look-up was answered"
    advice = "see FINERACT_USERNAME, FINERACT_PASSWORD, FINERACT_TENANT and the user's permissions"
    yield Check("Fineract's look-up", not failed, seen, advice)


async def _look_up(settings: Settings) -> object:
    nowhere = f"doctor-{uuid.uuid4()}"
    async with FineractClient(
        settings.base_url,
        settings.fineract_username,
        settings.fineract_password,
        settings.fineract_tenant,
        timeout_seconds=settings.timeout_seconds,
    ) as client:
        return await client.find_transaction(nowhere, nowhere)


def _version(answer: httpx.Response) -> str:
    try:
        build = answer.json()["git"]["build"]
        return f"version {build['version']}"
    except (ValueError, KeyError, TypeError):
        return "version not told"


def _login(settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    own = (settings.fineract_username, settings.fineract_password.get_secret_value())
    host = httpx.URL(settings.base_url).host
    right = own != DEFAULT_LOGIN or settings.uses_sandbox or host in LOCAL
    seen = "of its own" if own != DEFAULT_LOGIN else "Fineract's default, which everybody knows"
    yield Check("Fineract's login", right, seen, "make a user for the platform, with a password")


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


def _skew(name: str, theirs: datetime | None) -> Check:
    if theirs is None:
        return Check(
            name, False, "not told", "what answers there is no Fineract, or hides the date"
        )
    seconds = (theirs - datetime.now(UTC)).total_seconds()
    # A Date header has no fractions.
    right = abs(seconds) <= LARGEST_SKEW_SECONDS
    return Check(name, right, f"{seconds:+.1f} s from ours", "keep both by NTP")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
