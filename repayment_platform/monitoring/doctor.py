"""The checks of `./run doctor`: whether this installation can do its work, and what to do if not.

What belongs here: each check but those of Fineract (`fineract_checks`) and of the database
(`database_checks`), with advice. What does not: putting anything right, and trouble with payments
(`findings`). No check changes anything, at Fineract or in the database.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator

import psycopg

from repayment_platform.monitoring.check import Check, one_line
from repayment_platform.monitoring.database_checks import database, roles, server_settings
from repayment_platform.monitoring.fineract_checks import fineract_checks
from repayment_platform.settings import Settings, make_private
from repayment_platform.sources.registry import SOURCES, Kind
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.dbt_generated import DbtFailed
from repayment_platform.warehouse.urls import DatabaseUrls

LEAST_FREE_BYTES = 2 * 1024**3
LEAST_FREE_SHARE = 0.05
HEARTBEAT_SECONDS = 180
DEADLINE_SECONDS = 60.0
"""For each subject."""
LONGER = {"dbt": 300.0, "fineract checks": 180.0}
"""For those that ask several things, or read a whole project."""
_HEARTBEAT = """
SELECT extract(epoch FROM localtimestamp - max(timestamp)) FROM dagster.daemon_heartbeats
"""


Subject = Callable[[Settings, DatabaseUrls], Iterator[Check]]


def examine(settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Every check, one after another. None raises, and none takes longer than its deadline."""
    subjects: tuple[Subject, ...] = (
        database,
        server_settings,
        roles,
        _dbt,
        fineract_checks,
        _secrets,
        _disk,
        _daemon,
    )
    for subject in subjects:
        yield from _in_time(subject, settings, urls)


def _in_time(subject: Subject, settings: Settings, urls: DatabaseUrls) -> list[Check]:
    """The checks of a subject, which is left alone when it does not end."""
    found: list[Check] = []
    name = subject.__name__.strip("_").replace("_", " ")

    def examine_it() -> None:
        try:
            found.extend(subject(settings, urls))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is wrong)
            seen = f"{type(error).__name__}: {one_line(error)}"
            found.append(Check(name, False, seen, "tell the makers, with this line"))

    thread = threading.Thread(target=examine_it, name=name, daemon=True)
    thread.start()
    seconds = LONGER.get(name, DEADLINE_SECONDS)
    thread.join(seconds)
    if thread.is_alive():
        seen = f"not done after {seconds:g} s"
        found.append(Check(name, False, seen, "find out what it waits for"))
    return list(found)


def _dbt(_settings: Settings, _urls: DatabaseUrls) -> Iterator[Check]:
    try:
        models = dbt.models_of(dbt.prepare())
    except (DbtFailed, OSError) as error:
        yield Check(
            "dbt", False, one_line(error), "the project does not parse: see ./run dbt parse"
        )
        return
    yield Check("dbt", True, f"the project parses, and its manifest holds {models} models")


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
    make_private(settings.home)
    disk = shutil.disk_usage(settings.home)
    right = disk.free >= LEAST_FREE_BYTES and disk.free >= LEAST_FREE_SHARE * disk.total
    seen = f"{disk.free / 1024**3:.1f} GiB of {disk.total / 1024**3:.1f} free"
    yield Check("disk", right, seen, f"make room where {settings.home} is")
    writable = os.access(settings.home, os.W_OK)
    seen = "writable" if writable else "not writable"
    yield Check("home", writable, seen, f"give this user {settings.home}")


_DAEMON = "nothing runs by itself without it: ./run up, or start its service"


def _daemon(_settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    try:
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            row = connection.execute(_HEARTBEAT).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    except psycopg.Error as error:
        yield Check("Dagster's daemon", False, one_line(error), _DAEMON)
        return
    age = float(row[0]) if row and row[0] is not None else None
    seen = "has never run" if age is None else f"last seen {age:.0f} s ago"
    yield Check("Dagster's daemon", age is not None and age < HEARTBEAT_SECONDS, seen, _DAEMON)
