"""The server and the databases of a campaign.

What belongs here: starting, and copying the template that dbt has built its models in. What does
not: what happens in a database (`game`).
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from repayment_platform.warehouse.embedded import embedded_postgres
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests import dbt_once
from repayment_platform_tests.databases import be_careless, create_database, made_once, run_home


@contextmanager
def server(kept: Path | None = None) -> Iterator[DatabaseUrls]:
    """A running server with the template, below a folder that goes when it ends, or in `kept`,
    where a template that is there already is used again."""
    with ExitStack() as stack:
        home = kept or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="repayment-worlds-"))
        )
        home.mkdir(exist_ok=True, parents=True)
        os.environ["REPAYMENT_TEST_HOME"] = str(home)
        urls = stack.enter_context(embedded_postgres(run_home()))
        made_once(dbt_once.TEMPLATE, lambda: _make(urls))
        yield urls


def _make(urls: DatabaseUrls) -> None:
    be_careless(urls)
    create_database(urls, dbt_once.TEMPLATE, "template1")
    template = urls.with_database(dbt_once.TEMPLATE)
    migrate(template)
    dbt_once.build_and_record(template)
