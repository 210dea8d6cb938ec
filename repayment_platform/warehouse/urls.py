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

from repayment_platform.warehouse import pins

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
    """Every other libpq parameter, such as `sslmode`, but those of every connection (`pins`)."""
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
            options=_without_pins(parts),
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
        return self._url("postgresql+psycopg2", schema=DAGSTER_SCHEMA)

    @property
    def dbt_env(self) -> dict[str, str]:
        """Environment of a dbt process: what profiles.yml reads, and libpq's own variables."""
        variables = {
            option.keyword.decode(): option.envvar.decode()
            for option in Conninfo.get_defaults()
            if option.envvar
        }
        options = self._parameters("public")
        extra = {variables[key]: value for key, value in options.items() if key in variables}
        return extra | {
            "DBT_HOST": self.host,
            "DBT_PORT": str(self.port),
            "DBT_USER": self.user,
            "DBT_PASSWORD": self.password,
            "DBT_DBNAME": self.dbname,
        }

    def _parameters(self, schema: str) -> dict[str, str]:
        """Every libpq parameter but the address: what was given, else ours; of settings both."""
        options = pins.with_settings(self.options.get("options", ""), schema)
        return {**pins.network(), **self.options, "options": options}

    def _url(self, scheme: str, schema: str = "public") -> str:
        user = quote(self.user, safe="")
        if self.password:
            user += f":{quote(self.password, safe='')}"
        query = self._parameters(schema)
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


def _without_pins(parameters: Mapping[str, str]) -> dict[str, str]:
    """What somebody gave, of the parameters of an address that may be one of ours."""
    given = {
        name: value
        for name, value in parameters.items()
        if name != pins.NAME and pins.NETWORK.get(name) != value
    }
    if options := pins.without_settings(given.pop("options", "")):
        given["options"] = options
    return given
