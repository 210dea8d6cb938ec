"""Which database this process uses: the one of DATABASE_URL, or the embedded one.

What belongs here: choosing it and proving that it can be used. What does not: the embedded
server's life (`embedded`), tables (`migrate`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg

from repayment_platform.settings import Settings
from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.embedded import embedded_postgres
from repayment_platform.warehouse.rights import APPLICATION
from repayment_platform.warehouse.urls import DatabaseUrls

MIGRATION = "MIGRATION_DATABASE_URL"
OLDEST_MAJOR_VERSION = 15
"""The oldest that is supported."""
CONNECT_SECONDS = 10


@contextmanager
def warehouse(settings: Settings, *, must_answer: bool = True) -> Iterator[DatabaseUrls]:
    """The database for as long as the block runs; an embedded one lives at least that long.

    Every process takes its own: a child must not rely on its parent's. Without `must_answer` a
    database that is somebody else's may be away for now.

    Raises:
        WarehouseUnavailable: it cannot be reached, started or used.
    """
    if settings.database_url is None:
        with embedded_postgres(settings.home, settings.postgres_port) as owner:
            yield owner.as_role(APPLICATION)
    else:
        urls = _checked(settings.database_url.get_secret_value(), must_answer)
        owners = settings.migration_database_url
        yield replace(urls, owner=_parsed(MIGRATION, owners.get_secret_value()) if owners else None)


def _parsed(name: str, url: str) -> DatabaseUrls:
    try:
        return DatabaseUrls.parse(url)
    except ValueError as error:
        raise WarehouseUnavailable(f"{name}: {error}") from None


def _checked(database_url: str, must_answer: bool) -> DatabaseUrls:
    urls = _parsed("DATABASE_URL", database_url)
    if not must_answer:
        return urls
    try:
        with psycopg.connect(urls.psycopg, connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise WarehouseUnavailable(f"DATABASE_URL: {reason}") from error
    if version < OLDEST_MAJOR_VERSION:
        raise WarehouseUnavailable(
            f"DATABASE_URL: PostgreSQL {version} is too old, "
            f"{OLDEST_MAJOR_VERSION} is the oldest that works"
        )
    return urls
