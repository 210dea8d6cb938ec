"""What `./run doctor` looks at in the database: whether it answers, is migrated, keeps what it says
that it keeps, and lets our roles do their work and no more.

What belongs here: each check of the database, with advice. What does not: the other checks
(`doctor`). None changes anything there.
"""

from collections.abc import Iterator

import psycopg

from repayment_platform.monitoring.check import Check, one_line, skew
from repayment_platform.settings import Settings
from repayment_platform.warehouse.migrate import is_current, may_migrate
from repayment_platform.warehouse.rights import too_little, too_much
from repayment_platform.warehouse.urls import DatabaseUrls

_LOSES = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on, remote_write, remote_apply, local",
}
"""With another value a crash of the machine loses what was committed, and so acknowledged."""
_HARMS = {
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "row_security": "on",
}
"""Long builds are ended, writing is refused, or a claim does not see what another run has posted.
Settings that our connections set themselves (`warehouse.pins`) cannot harm."""
_SETTINGS = "SELECT name, current_setting(name), source FROM pg_settings WHERE name = ANY (%s)"


def database(_settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Whether it answers, its clock, its migrations, the rights of the application's role."""
    try:
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            version = connection.info.parameter_status("server_version")
            row = connection.execute("SELECT clock_timestamp()").fetchone()
    except psycopg.OperationalError as error:
        yield Check("database", False, one_line(error), "start PostgreSQL, or correct DATABASE_URL")
        return
    yield Check("database", True, f"PostgreSQL {version}")
    yield skew("clock of the database", row[0] if row else None)
    current = is_current(urls)
    seen = "up to date" if current else "not the newest"
    yield Check("migrations", current, seen, "./run migrate, as the role that owns the tables")
    if current:
        yield _rights(urls)


def server_settings(_settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Settings of the server, the database or the role that harm."""
    try:
        with psycopg.connect(urls.psycopg, autocommit=True) as connection:
            rows = connection.execute(_SETTINGS, ([*_LOSES, *_HARMS],)).fetchall()
    except psycopg.OperationalError:
        return  # `database` says so
    found = {name: (value, source) for name, value, source in rows}
    advice = "set it back with ALTER ROLE, ALTER DATABASE or ALTER SYSTEM, whichever set it"
    yield _settings_check("durability", _LOSES, found, advice)
    yield _settings_check("settings of the database", _HARMS, found, advice)


def _settings_check(
    name: str, good: dict[str, str], found: dict[str, tuple[str, str]], advice: str
) -> Check:
    bad = [
        f"{setting} is {value} (by {source})"
        for setting, (value, source) in sorted(found.items())
        if setting in good and value not in good[setting].split(", ")
    ]
    return Check(name, not bad, "; ".join(bad) or "none harms", advice)


def roles(_settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Whether the owner, where its address is known, can do what it is for."""
    if urls.owner is None:
        return
    try:
        able = may_migrate(urls.owner)
    except psycopg.Error as error:
        advice = "correct MIGRATION_DATABASE_URL: no update of the platform can migrate with it"
        yield Check("owner", False, one_line(error), advice)
        return
    seen = f"{urls.owner.user} {'may' if able else 'may not'} migrate"
    yield Check("owner", able, seen, "give MIGRATION_DATABASE_URL the role that owns the tables")


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
