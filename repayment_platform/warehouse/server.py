"""Which database this process uses: the one of DATABASE_URL, or the embedded one.

What belongs here: choosing it and proving that it can be used. What does not: the embedded
server's life (`embedded`), tables (`migrate`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from repayment_platform.settings import Settings
from repayment_platform.warehouse import WarehouseUnavailable
from repayment_platform.warehouse.embedded import embedded_postgres
from repayment_platform.warehouse.urls import DatabaseUrls

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
        with embedded_postgres(settings.home, settings.postgres_port) as urls:
            yield urls
    else:
        yield _checked(settings.database_url.get_secret_value(), must_answer)


def _checked(database_url: str, must_answer: bool) -> DatabaseUrls:
    try:
        urls = DatabaseUrls.parse(database_url)
        if not must_answer:
            return urls
        with psycopg.connect(urls.psycopg, connect_timeout=CONNECT_SECONDS) as connection:
            version = connection.info.server_version // 10_000
    except (psycopg.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise WarehouseUnavailable(f"DATABASE_URL: {reason}") from error
    if version < OLDEST_MAJOR_VERSION:
        raise WarehouseUnavailable(
            f"DATABASE_URL: PostgreSQL {version} is too old, "
            f"{OLDEST_MAJOR_VERSION} is the oldest that works"
        )
    return urls
