"""Settings from the environment and `.env`: names, defaults and what makes one wrong.

What belongs here: reading and validating settings. What does not: opening connections or
deriving URLs from them (`warehouse.urls`).
"""

import os
import sys
from collections.abc import Iterator
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from repayment_platform.fineract.trust import UnusableCaFileError, needs_tls, trusting
from repayment_platform.setting_names import (
    known_names,
    likely_file,
    unknown_names,
    webhook_secrets_name,
)

SANDBOX = "sandbox"
"""The value of FINERACT_BASE_URL that asks for the sandbox by name."""
API_PATH = "/fineract-provider/api/v1"
ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = "REPAYMENT_ENV_FILE"
"""Names the file of settings; one that is named must be there."""


def env_file() -> Path:
    """The file that settings are read from besides the environment: `.env` unless
    REPAYMENT_ENV_FILE names another."""
    return Path(os.environ.get(ENV_FILE) or ROOT / ".env")


def make_private(folder: Path) -> None:
    """Make a folder that nobody else looks into; of one that is there and ours, take the rest away.

    Others may still pass through, where that was allowed: the embedded server's user does.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    if about.st_uid == os.geteuid() and about.st_mode & 0o076:
        folder.chmod(about.st_mode & 0o701)


class BadSettings(SystemExit):
    """A setting is missing or wrong; ends the command with a line for each on standard error."""

    def __init__(self, *messages: str) -> None:
        super().__init__(2)
        self.message = "; ".join(messages)
        sys.stderr.writelines(f"settings: {message}\n" for message in messages)

    def __str__(self) -> str:
        return self.message


class Settings(BaseSettings):
    """One instance per process; see README for the table of names, defaults and meanings."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    database_url: SecretStr | None = None
    migration_database_url: SecretStr | None = None
    """The same database as the role that owns its tables, for `./run migrate`."""
    repayment_home: Path = ROOT / ".data"
    postgres_port: int | None = Field(None, ge=1, le=65535)

    fineract_base_url: str | None = None
    fineract_username: str = "mifos"
    fineract_password: SecretStr = SecretStr("password")
    fineract_tenant: str = "default"
    fineract_allowed_hosts: str = ""
    fineract_ca_file: Path | None = None
    """PEM of the CAs that vouch for Fineract's certificate, and then no others do."""
    fineract_timeout_seconds: float = Field(20, gt=0)
    fineract_settle_seconds: float | None = Field(None, gt=0)
    fineract_patience_seconds: float = Field(600, gt=0)
    """How long a posting run waits for a Fineract that does not answer before it ends."""
    posting_workers: int = Field(20, ge=1, le=200)

    webhook_host: str = "127.0.0.1"
    """Where the receiver listens; a proxy with TLS stands before it."""
    webhook_port: int = Field(8081, ge=1, le=65535)
    webhook_max_age_hours: float = Field(25, gt=0)
    """How old a signed Cashfree delivery may be. Its dashboard sends a payment's webhook again
    for 24 hours, and that delivery has retries of its own."""
    webhook_rate_per_second: float = Field(5000, gt=0)
    """Deliveries of one address; far more than a provider sends from one, for floods only."""
    listen: str = "127.0.0.1"
    """Where the operations screens and the metrics listen; in a container 0.0.0.0, and the proxy
    and Prometheus reach them over a network of their own."""
    ops_port: int = Field(8082, ge=1, le=65535)
    dagster_port: int = Field(3000, ge=1, le=65535)
    ops_url: str | None = Field(None, pattern=r"^https?://")
    """Where people open the screens, and log in; http://127.0.0.1:OPS_PORT."""
    dagster_url: str | None = Field(None, pattern=r"^https?://")
    """Where people open Dagster; http://127.0.0.1:DAGSTER_PORT. On the host of OPS_URL, whose
    log-in counts there; a path, such as `/dagster`, tells the two apart."""
    code_server_port: int = Field(3030, ge=1, le=65535)
    """Where `./run up` has Dagster's code server, for the webserver and the daemon."""
    sandbox_port: int = Field(8099, ge=1, le=65535)
    sandbox_latency_ms: int = Field(0, ge=0)

    file_memory_mb: int = Field(1024, ge=256)
    """Memory that reading one file may take; the process that reads it ends there."""
    file_seconds: int = Field(900, ge=1)
    """Processor time that reading one file may take."""

    alert_urls: SecretStr = SecretStr("")
    """Where incidents are told: apprise URLs, parted by spaces."""
    alert_backlog_hours: float = Field(2, gt=0)
    metrics_port: int = Field(8083, ge=1, le=65535)
    webhook_metrics_port: int | None = Field(None, ge=1, le=65535)
    """Where the receiver counts its answers for Prometheus, on loopback; nowhere unless set."""
    run_retention_days: float = Field(30, ge=1)
    fast_posting: bool = False
    """Post within a minute of a payment's arrival instead of at the next half hour."""
    recon_four_eyes: bool = False
    """Whether a reconciliation request needs the approval of a second person."""

    @field_validator("fineract_ca_file")
    @classmethod
    def _usable(cls, file: Path | None) -> Path | None:
        if file is None:
            return None
        file = file.expanduser().absolute()
        try:
            trusting(file)
        except UnusableCaFileError as error:
            raise ValueError(str(error)) from None
        return file

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if not self.uses_sandbox:
            self._check_address()
        if self.settle_seconds <= self.timeout_seconds:
            raise ValueError(
                f"FINERACT_SETTLE_SECONDS ({self.settle_seconds:g}) must be greater than "
                f"FINERACT_TIMEOUT_SECONDS ({self.timeout_seconds:g})"
            )
        if self.migration_database_url is not None and self.database_url is None:
            raise ValueError("MIGRATION_DATABASE_URL is of the database of DATABASE_URL: set both")
        if self.fineract_base_url is None and self.database_url is not None:
            raise ValueError(
                "FINERACT_BASE_URL must be set when DATABASE_URL is; "
                "set it to 'sandbox' to post to the built-in sandbox on purpose"
            )
        return self

    def _check_address(self) -> None:
        url = urlsplit(self.base_url)
        host = url.hostname or ""
        if url.scheme not in ("http", "https") or not url.path.endswith(API_PATH):
            raise ValueError(f"FINERACT_BASE_URL must be an http(s) URL ending in {API_PATH}")
        if url.username is not None or url.password is not None:
            raise ValueError(
                "FINERACT_BASE_URL must hold no user name and no password; they are "
                "FINERACT_USERNAME and FINERACT_PASSWORD"
            )
        if host not in self.allowed_hosts:
            raise ValueError(
                f"FINERACT_ALLOWED_HOSTS must name {host}, the host of FINERACT_BASE_URL"
            )
        if url.scheme == "http" and needs_tls(host):
            raise ValueError(
                f"FINERACT_BASE_URL must begin with https://: over http:// everybody on the way to "
                f"{host} can read the password and change repayments; give Fineract a certificate"
            )

    @property
    def uses_sandbox(self) -> bool:
        return self.fineract_base_url in (None, SANDBOX)

    @property
    def timeout_seconds(self) -> float:
        """Time-out of one whole request to Fineract; short for the sandbox unless set."""
        if self.uses_sandbox and "fineract_timeout_seconds" not in self.model_fields_set:
            return 1.5
        return self.fineract_timeout_seconds

    @property
    def settle_seconds(self) -> float:
        """How long after a send an absent transaction proves that it was not applied."""
        if self.fineract_settle_seconds is not None:
            return self.fineract_settle_seconds
        return 2.0 if self.uses_sandbox else 60.0

    @property
    def begin_within_seconds(self) -> float:
        """How soon after its intent a request is begun, or else it is not sent. Connecting takes
        no more than the other two thirds of the time-out, so it has left within that, or never."""
        return self.timeout_seconds / 3

    @property
    def allowed_hosts(self) -> frozenset[str]:
        return frozenset(filter(None, map(str.strip, self.fineract_allowed_hosts.split(","))))

    @property
    def base_url(self) -> str:
        """Fineract's base URL, the sandbox's where that is used."""
        if self.uses_sandbox:
            return f"http://127.0.0.1:{self.sandbox_port}{API_PATH}"
        return str(self.fineract_base_url)

    @property
    def ledger_url(self) -> str:
        """What the database remembers as the ledger it posts to."""
        return SANDBOX if self.uses_sandbox else self.base_url.rstrip("/")

    @property
    def ops_address(self) -> str:
        """Where people open the screens, without a slash at the end."""
        return (self.ops_url or f"http://127.0.0.1:{self.ops_port}").rstrip("/")

    @property
    def dagster_address(self) -> str:
        """Where people open Dagster, without a slash at the end."""
        return (self.dagster_url or f"http://127.0.0.1:{self.dagster_port}").rstrip("/")

    @property
    def has_known_names(self) -> bool:
        """Whether it is known by which names people reach the servers: beyond loopback only where
        OPS_URL says it."""
        return self.ops_url is not None or self.listen in ("127.0.0.1", "::1", "localhost")

    @cached_property
    def home(self) -> Path:
        """Where all local state lives, absolute."""
        return self.repayment_home.expanduser().absolute()

    def webhook_secrets(self, provider: str, lender: str) -> tuple[SecretStr, ...]:
        """Active secrets, newest first, of `<PROVIDER>_WEBHOOK_SECRETS_<LENDER>`."""
        name = webhook_secrets_name(provider, lender)
        raw = os.environ.get(name) or dotenv_values(env_file()).get(name) or ""
        return tuple(SecretStr(s) for s in map(str.strip, raw.split(",")) if s)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment, with some settings replaced.

    Raises:
        BadSettings: with a line for each thing that is to be put right.
    """
    file = env_file()
    wrong = tuple(_wrong_names(file))
    if wrong:
        raise BadSettings(*wrong)
    try:
        return Settings(_env_file=file, **overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        message = first["msg"].removeprefix("Value error, ")
        raise BadSettings(f"{name}: {message}" if name else message) from None


def _wrong_names(file: Path) -> Iterator[str]:
    """A line for a named file that is not there, and for each name that is no setting."""
    known = known_names(Settings.model_fields)
    yield from unknown_names(os.environ, known, "in the environment")
    try:
        yield from unknown_names(dotenv_values(stream=StringIO(file.read_text())), known, str(file))
    except FileNotFoundError:
        if os.environ.get(ENV_FILE):
            likely = likely_file(file)
            hint = f"; did you mean {likely}?" if likely else ""
            yield f"{ENV_FILE}: there is no file {file}{hint}"
    except (OSError, UnicodeDecodeError) as error:
        yield f"{file} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
