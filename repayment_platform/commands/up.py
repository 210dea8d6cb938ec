"""`./run up`: the whole platform on one machine.

What belongs here: which processes run, in which order they start and stop. What does not: the
processes themselves.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import typer
from dotenv import dotenv_values

from repayment_platform.commands.leaving import asked_to_leave
from repayment_platform.commands.operations import first_user
from repayment_platform.commands.platform import platform, say_where
from repayment_platform.commands.services import (
    ALERTS,
    FINERACT,
    HOST,
    WEBHOOK_SECRETS,
    Service,
    running_services,
)
from repayment_platform.commands.stream import gateway_secrets
from repayment_platform.settings import ENV_FILE, ROOT, Settings, env_file, load_settings

BIN = Path(sys.executable).parent
WORKSPACE = ROOT / "deploy" / "workspace.yaml"
DAEMON = "repayment_platform.commands.daemon"
WEBSERVER = "repayment_platform.commands.webserver"


def up() -> None:
    """Start everything and print where it is; Ctrl-C stops all of it.

    PostgreSQL and the sandbox are started where DATABASE_URL and FINERACT_BASE_URL are unset;
    then Dagster's code server, webserver and daemon, the webhook receiver, the operations screens
    and the metrics.
    """
    # A shell has its background processes ignore it; whoever sends it means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = load_settings()
    say_where(settings)
    with ExitStack() as stack:
        urls = stack.enter_context(platform(settings))
        if settings.uses_sandbox:
            from repayment_platform.sandbox.process import running_sandbox

            latency = settings.sandbox_latency_ms
            stack.enter_context(running_sandbox(settings.home, settings.sandbox_port, latency))
        from repayment_platform.warehouse.dbt import prepare

        typer.echo("Starting; the first time this takes half a minute.")
        prepare()
        if settings.uses_sandbox:
            secrets = gateway_secrets(settings)
            os.environ.update({name: ",".join(values) for name, values in secrets.items()})
        logs = settings.home / "logs"
        _take_over_the_file()
        os.environ |= {
            "CODE_SERVER_HOST": HOST,
            "CODE_SERVER_PORT": str(settings.code_server_port),
        }
        running: dict[str, subprocess.Popen[bytes]] = {}
        # The code server stops last: the runs that it has started are its children.
        for group in (code_server(settings), services(settings)):
            running |= stack.enter_context(running_services(group, logs, os.environ))
        typer.echo(first_user(urls.psycopg), nl=False)
        _say_where(settings)
        raise SystemExit(_watch(running))


def _take_over_the_file() -> None:
    """Have each part get its settings from its environment, and so no secrets but its own."""
    values = dotenv_values(env_file()) if env_file().exists() else {}
    given = {name: value for name, value in values.items() if value is not None}
    os.environ |= {name: value for name, value in given.items() if not os.environ.get(name)}
    os.environ[ENV_FILE] = os.devnull


def code_server(settings: Settings) -> tuple[Service, ...]:
    """Where the daemon and the webserver have the definitions from, and runs are started."""
    port = str(settings.code_server_port)
    module = ("-m", "repayment_platform.definitions")
    command = (str(BIN / "dagster"), "api", "grpc", *module, "--host", HOST, "--port", port)
    return (Service("code-server", command, settings.code_server_port, (FINERACT, ALERTS)),)


def services(settings: Settings) -> tuple[Service, ...]:
    """What `up` runs beside PostgreSQL, the sandbox and the code server."""
    workspace = ("--workspace", str(WORKSPACE))
    webserver = (sys.executable, "-m", WEBSERVER)
    cli = (sys.executable, "-m", "repayment_platform.cli")
    return (
        Service("webhooks", (*cli, "webhooks"), settings.webhook_port, WEBHOOK_SECRETS),
        Service(
            "operations", (*cli, "operations", "--no-first-user"), settings.ops_port, (FINERACT,)
        ),
        Service("metrics", (*cli, "metrics"), settings.metrics_port),
        Service("dagster-webserver", webserver, settings.dagster_port),
        Service(
            "dagster-daemon",
            (sys.executable, "-m", DAEMON, "run", *workspace),
            secrets=(FINERACT, ALERTS),
        ),
    )


def _watch(running: Mapping[str, "subprocess.Popen[bytes]"]) -> int:
    """Wait for Ctrl-C; one service that ends by itself ends them all."""
    try:
        while (asked := asked_to_leave()) is None:
            for name, process in running.items():
                if process.poll() is not None:
                    typer.echo(f"{name} ended with code {process.returncode}", err=True)
                    return 1
            time.sleep(0.5)
        return asked
    except KeyboardInterrupt:
        return 0


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
