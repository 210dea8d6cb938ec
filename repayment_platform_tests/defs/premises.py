"""Dagster's real webserver behind the door, in this process, and visitors of it.

What belongs here: opening it, somebody with a session of a role, asking GraphQL. What does not:
expectations.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import httpx
import psycopg
from starlette.testclient import TestClient

from repayment_platform.commands.platform import platform
from repayment_platform.defs.door import Door, dagsters_app, prefix_of
from repayment_platform.settings import ROOT, SANDBOX, Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations import sessions
from repayment_platform.web.operations.origin import origin_of
from repayment_platform.web.operations.users import Role


@dataclass
class Premises:
    """The door before Dagster, and the database that both use."""

    door: Door
    dagster: Any
    """Dagster's own application."""
    settings: Settings
    connection: psycopg.Connection[Any]
    instance: dg.DagsterInstance

    def visitor(self, role: Role | None = None, **headers: str) -> TestClient:
        client = TestClient(
            self.door,
            origin_of(self.settings.dagster_address),
            follow_redirects=False,
            headers=headers,
            raise_server_exceptions=False,
        )
        if role:
            self.connection.execute(
                """INSERT INTO "CORE"."CORE_USER" (name, password_hash, role)
                   VALUES (%s, 'none', %s) ON CONFLICT DO NOTHING""",
                (role.label, role.label),
            )
            client.cookies.set(sessions.COOKIE, sessions.start(self.connection, role.label))
        return client

    def audited(self) -> list[tuple[str, str, str | None]]:
        return self.connection.execute(
            'SELECT who, action, subject FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id'
        ).fetchall()


@contextmanager
def opened(urls: DatabaseUrls, home: Path, **more: str) -> Iterator[Premises]:
    """Definitions are loaded once: that takes as long as all that is asked of them."""
    with patch.dict(os.environ):
        settings = Settings(
            _env_file=None,
            database_url=urls.psycopg,
            repayment_home=home,
            fineract_base_url=SANDBOX,
            **more,
        )
        os.environ |= {"DATABASE_URL": urls.psycopg, "FINERACT_BASE_URL": SANDBOX}
        os.environ["REPAYMENT_ENV_FILE"] = os.devnull
        with (
            platform(settings),
            dagsters_app(urls.psycopg, prefix_of(settings), str(ROOT / "workspace.yaml")) as app,
            psycopg.connect(urls.psycopg, autocommit=True) as connection,
            dg.DagsterInstance.get() as instance,
        ):
            door = Door(app, settings, urls.psycopg)
            yield Premises(door, app, settings, connection, instance)


def ask(visitor: TestClient, query: str, variables: Any = None, **headers: str) -> httpx.Response:
    body = {"query": query, "variables": variables}
    return visitor.post("/graphql", json=body, headers=headers)
