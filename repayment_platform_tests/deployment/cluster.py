"""A PostgreSQL as somebody else runs it: on TCP, with passwords, without a role of ours.

What belongs here: the server, and an administrator's SQL on it. What does not: the platform.
"""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from repayment_platform.settings import ROOT
from repayment_platform.warehouse.cluster import program
from repayment_platform.warehouse.server_user import server_user
from repayment_platform_tests.ports import free_port

ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Cluster:
    """A running server and its administrator's password."""

    port: int
    password: str

    def url(self, user: str, password: str, dbname: str = "repayment") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{dbname}"

    def administer(self, *statements: str, dbname: str = "postgres") -> None:
        url = self.url(ADMINISTRATOR, self.password, dbname)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def remove_everything(self) -> None:
        """Databases and roles that a test has made."""
        with psycopg.connect(
            self.url(ADMINISTRATOR, self.password, "postgres"), autocommit=True
        ) as connection:
            databases = "SELECT datname FROM pg_database WHERE datname LIKE 'repayment%'"
            for (name,) in connection.execute(databases).fetchall():
                drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
                connection.execute(drop.format(sql.Identifier(name)))
            roles = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'repayment%'"
            for (name,) in connection.execute(roles).fetchall():
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A server of its own, for as long as the block runs."""
    data = Path(tempfile.mkdtemp(prefix="repayment-cluster-"))
    user = server_user(data / "pgdata")
    os.chown(data, user.uid, user.gid)
    user.let_through(Path(program("postgres")))
    cluster = Cluster(free_port(), secrets.token_hex(12))
    (data / "password").write_text(cluster.password)
    (data / "password").chmod(0o644)
    place = ("-D", str(data / "pgdata"))
    how = ("--username", ADMINISTRATOR, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync")
    made = user.run((program("initdb"), *place, *how, f"--pwfile={data / 'password'}"))
    assert made.returncode == 0, made.stdout
    options = f"-p {cluster.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    log = ("-l", str(data / "log"))
    started = user.run((program("pg_ctl"), "start", "-w", "-s", *place, *log, "-o", options))
    assert started.returncode == 0, started.stdout + (data / "log").read_text()
    try:
        yield cluster
    finally:
        user.run((program("pg_ctl"), "stop", "-m", "immediate", "-w", "-s", *place))
        shutil.rmtree(data)


def documented_roles() -> list[str]:
    """The statements of docs/deployment.md that make the roles, each password still `…`."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    [block] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    lines = (line.partition("--")[0] for line in block.splitlines())
    return [statement.strip() for statement in " ".join(lines).split(";") if statement.strip()]


def make_roles(cluster: Cluster) -> tuple[str, str, str]:
    """By the page's own statements; the passwords of owner, application and reader."""
    passwords = secrets.token_hex(8), secrets.token_hex(8), secrets.token_hex(8)
    given = iter(passwords)
    for statement in documented_roles():
        cluster.administer(statement.replace("…", next(given)) if "…" in statement else statement)
    return passwords
