"""The screens before the first run, and while the database is away."""

from pathlib import Path
from typing import Any

import psycopg
from starlette.testclient import TestClient

from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations.app import create_app
from repayment_platform.web.operations.auth import COOKIE
from repayment_platform.web.operations.users import Role
from repayment_platform_tests.web.operations.site import HERE, Site


def site_on(conninfo: str, connection: psycopg.Connection[Any], home: Path) -> Site:
    settings = Settings(
        _env_file=None, database_url=conninfo, repayment_home=home, fineract_base_url=SANDBOX
    )
    return Site(create_app(settings, conninfo), settings, conninfo, connection)


def test_before_the_first_run_a_page_says_so_and_the_others_work(
    database_urls: DatabaseUrls, connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    browser = site_on(database_urls.psycopg, connection, tmp_path).as_role(Role.ADMIN)
    for path in ("/", "/payments", "/reconciliation"):
        sent = browser.get(path)
        assert sent.status_code == 503
        assert "before the pipeline has run" in sent.text
    for path in ("/log", "/log/upload", "/log/webhooks", "/requests", "/lenders", "/audit"):
        assert browser.get(path).status_code == 200, path


def test_without_a_database_the_answer_is_503_and_the_server_lives(
    connection: psycopg.Connection[Any], tmp_path: Path
) -> None:
    site = site_on("postgresql://nobody@127.0.0.1:1/none", connection, tmp_path)
    client = TestClient(site.app, HERE, follow_redirects=False)
    client.cookies.set(COOKIE, "some token")
    answer = client.get("/payments")
    assert answer.status_code == 503
    assert answer.headers["x-frame-options"] == "DENY"
    assert client.get("/healthz").status_code == 200
