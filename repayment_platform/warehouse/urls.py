"""One database address, spelled for each library that connects to it.

What belongs here: turning one libpq URL into the forms that psycopg, SQLAlchemy, Dagster and
dbt understand. What does not: connecting, and deciding which database is used (`server`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

DAGSTER_SCHEMA = "dagster"
_REQUIRED = ("host", "user", "dbname")


@dataclass(frozen=True)
class DatabaseUrls:
    """The address of one database. Its repr shows no password."""

    host: str
    """A host name, or the directory of a Unix socket (starts with `/`)."""
    port: int
    user: str
    dbname: str
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Every other libpq parameter, such as `sslmode`."""
    owner: "DatabaseUrls | None" = field(default=None, repr=False, compare=False)
    """The same database as the role that owns its tables, where it is known and another."""

    @classmethod
    def parse(cls, url: str) -> "DatabaseUrls":
        """Read a libpq URL (`postgresql://…`) or `key=value` string.

        Raises:
            ValueError: not such a string, or host, user or database is missing. The message
                never quotes the string, which may hold a password.
        """
        try:
            parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
        except psycopg.ProgrammingError:
            raise ValueError(
                "not a PostgreSQL URL (postgresql://user@host:5432/database)"
            ) from None
        missing = [name for name in _REQUIRED if not parts.get(name)]
        if missing:
            raise ValueError(f"names no {' and no '.join(missing)}")
        if not parts.get("port", "5432").isdecimal():
            raise ValueError("must name one host and one port")
        return cls(
            host=parts.pop("host"),
            port=int(parts.pop("port", "5432")),
            user=parts.pop("user"),
            dbname=parts.pop("dbname"),
            password=parts.pop("password", ""),
            options=parts,
        )

    def with_database(self, dbname: str) -> "DatabaseUrls":
        """The same server and user, another database."""
        return replace(self, dbname=dbname, owner=self.owner and self.owner.with_database(dbname))

    def as_role(self, user: str) -> "DatabaseUrls":
        """The same database as another role, which this one owns the tables for."""
        return replace(self, user=user, owner=self)

    @cached_property
    def psycopg(self) -> str:
        """For psycopg 3 and libpq."""
        return self._url("postgresql")

    @cached_property
    def sqlalchemy(self) -> str:
        """For SQLAlchemy, over psycopg 3."""
        return self._url("postgresql+psycopg")

    @cached_property
    def dagster(self) -> str:
        """For Dagster's storage, in its own schema.

        The driver is named because a bare `postgresql://` becomes psycopg 3 in later
        SQLAlchemy, and Dagster's NOTIFY with a parameter fails there.
        """
        given = f"{self.options.get('options', '')} -csearch_path={DAGSTER_SCHEMA}".strip()
        return self._url("postgresql+psycopg2", options=given)

    @property
    def dbt_env(self) -> dict[str, str]:
        """Environment of a dbt process: what profiles.yml reads, and libpq's own variables."""
        variables = {
            option.keyword.decode(): option.envvar.decode()
            for option in Conninfo.get_defaults()
            if option.envvar
        }
        extra = {variables[key]: value for key, value in self.options.items() if key in variables}
        return extra | {
            "DBT_HOST": self.host,
            "DBT_PORT": str(self.port),
            "DBT_USER": self.user,
            "DBT_PASSWORD": self.password,
            "DBT_DBNAME": self.dbname,
        }

    def _url(self, scheme: str, **overrides: str) -> str:
        user = quote(self.user, safe="")
        if self.password:
            user += f":{quote(self.password, safe='')}"
        query = {**self.options, **overrides}
        if self.host.startswith("/"):
            place = ""
            query |= {"host": self.host, "port": str(self.port)}
        else:
            host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
            place = f"{host}:{self.port}"
        path = self.dbname
        if quote(path, safe="") != path:  # SQLAlchemy does not decode a path
            path = ""
            query["dbname"] = self.dbname
        # quote(), not quote_plus(): libpq takes a plus sign for itself, not for a space.
        pairs = "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in query.items())
        return f"{scheme}://{user}@{place}/{path}" + (pairs and f"?{pairs}")
