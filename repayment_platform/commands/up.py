"""`./run up`: the whole platform on one machine.

What belongs here: in which order its parts start and stop. What does not: which they are
(`parts`), the processes themselves, and starting again what ends (`supervisor`).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import typer
from dotenv import dotenv_values

from repayment_platform.commands.leaving import asked_to_leave
from repayment_platform.commands.operations import first_user
from repayment_platform.commands.parts import PostgreSQL, Sandbox, code_server, services
from repayment_platform.commands.platform import platform, settings_told
from repayment_platform.commands.process_groups import end_left_over
from repayment_platform.commands.services import HOST, running_services
from repayment_platform.commands.silence import database_away, part_hangs, watched
from repayment_platform.commands.stream import gateway_secrets
from repayment_platform.commands.supervisor import Part, Supervisor, say
from repayment_platform.file_locks import LockNotHad, alone
from repayment_platform.settings import ENV_FILE, Settings, env_file, make_private
from repayment_platform.warehouse.embedded import EmbeddedServer

OTHER_SECONDS = 40.0
"""Longer than another takes to stop."""


def up() -> None:
    """Start everything and print where it is; Ctrl-C stops all of it.

    PostgreSQL and the sandbox are started where DATABASE_URL and FINERACT_BASE_URL are unset;
    then Dagster's code server, webserver and daemon, the webhook receiver, the operations screens
    and the metrics. What ends by itself is started again, and said so.
    """
    # A shell has its background processes ignore it; whoever sends it means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = settings_told()
    parts: list[Part] = []
    logs = settings.home / "logs"
    with ExitStack() as stack:
        stack.enter_context(_alone(settings.home))
        for name in end_left_over(logs.glob("*.pid")):
            say(name, "was left by an `up` that was killed; ended")
        urls = stack.enter_context(platform(settings))
        if settings.database_url is None:
            parts.append(PostgreSQL(EmbeddedServer(settings.home), settings.postgres_port))
        stack.enter_context(watched("database", partial(database_away, urls.psycopg)))
        if settings.uses_sandbox:
            from repayment_platform.sandbox.process import running_sandbox

            latency = settings.sandbox_latency_ms
            stack.enter_context(running_sandbox(settings.home, settings.sandbox_port, latency))
            parts.append(Sandbox(settings))
        from repayment_platform.warehouse.dbt import prepare

        typer.echo("Starting; the first time this takes half a minute.")
        prepare()
        if settings.uses_sandbox:
            secrets = gateway_secrets(settings)
            os.environ.update({name: ",".join(values) for name, values in secrets.items()})
        _take_over_the_file()
        os.environ |= {
            "CODE_SERVER_HOST": HOST,
            "CODE_SERVER_PORT": str(settings.code_server_port),
        }
        # The code server stops last: the runs that it has started are its children.
        for group in (code_server(settings), services(settings)):
            parts += stack.enter_context(running_services(group, logs, os.environ))
            for service in group:
                if service.port:
                    stack.enter_context(watched(service.name, partial(part_hangs, service)))
        typer.echo(first_user(urls.psycopg), nl=False)
        _say_where(settings)
        raise SystemExit(Supervisor(parts).run(asked_to_leave))


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two on one home would start each part twice, and each take the other's for its own."""
    make_private(home)
    try:
        with alone(home / "up.lock", "run the platform", OTHER_SECONDS):
            yield
    except LockNotHad as waited:
        raise SystemExit(f"another ./run up runs: {waited}") from None


def _take_over_the_file() -> None:
    """Have each part get its settings from its environment, and so no secrets but its own."""
    values = dotenv_values(env_file()) if env_file().exists() else {}
    given = {name: value for name, value in values.items() if value is not None}
    os.environ |= {name: value for name, value in given.items() if not os.environ.get(name)}
    os.environ[ENV_FILE] = os.devnull


def _say_where(settings: Settings) -> None:
    typer.echo(f"Operations     {settings.ops_address}")
    typer.echo(f"Dagster        {settings.dagster_address}, with the same log-in")
    typer.echo(f"Webhooks       http://{HOST}:{settings.webhook_port}/webhooks/PROVIDER/LENDER")
    typer.echo(f"Metrics        http://{HOST}:{settings.metrics_port}/metrics")
    typer.echo(f"Inboxes        {settings.home / 'inbox'}/RAW_TABLE/")
    if settings.uses_sandbox:
        ledger = f"http://{HOST}:{settings.sandbox_port}/sandbox/ledger"
        typer.echo(f"Fineract       the built-in SANDBOX, its ledger: {ledger}")
    else:
        typer.echo(f"Fineract       {settings.base_url}")
    typer.echo(f"Logs           {settings.home / 'logs'}")
    typer.echo("Ctrl-C stops everything.")
