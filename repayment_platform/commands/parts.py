"""The parts of the platform that `up` runs, and what it takes to start each of them again.

What belongs here: which they are, with their commands and secrets; PostgreSQL and the sandbox,
which are shared with other commands, as parts. What does not: watching them (`supervisor`).
"""

import sys
from dataclasses import dataclass

from repayment_platform.commands.services import ALERTS, FINERACT, HOST, WEBHOOK_SECRETS, Service
from repayment_platform.settings import ROOT, Settings
from repayment_platform.warehouse.embedded import EmbeddedServer

WORKSPACE = ROOT / "deploy" / "workspace.yaml"
_PYTHON = (sys.executable, "-m")
_COMMANDS = "repayment_platform.commands"
DAEMON = f"{_COMMANDS}.daemon"


def code_server(settings: Settings) -> tuple[Service, ...]:
    """Where the daemon and the webserver have the definitions from, and runs are started."""
    port = settings.code_server_port
    command = (*_PYTHON, f"{_COMMANDS}.code_server", "--host", HOST, "--port", str(port))
    return (Service("code-server", command, port, (*FINERACT, ALERTS)),)


def services(settings: Settings) -> tuple[Service, ...]:
    """What `up` runs beside PostgreSQL, the sandbox and the code server."""
    cli = (*_PYTHON, "repayment_platform.cli")
    operations = (*cli, "operations", "--no-first-user")
    daemon = (*_PYTHON, DAEMON, "run", "--workspace", str(WORKSPACE))
    return (
        Service("webhooks", (*cli, "webhooks"), settings.webhook_port, WEBHOOK_SECRETS),
        Service("operations", operations, settings.ops_port, FINERACT),
        Service("metrics", (*cli, "metrics"), settings.metrics_port),
        Service("dagster-webserver", (*_PYTHON, f"{_COMMANDS}.webserver"), settings.dagster_port),
        Service("dagster-daemon", daemon, secrets=(*FINERACT, ALERTS)),
    )


@dataclass(frozen=True)
class PostgreSQL:
    """The embedded server, which this process has joined."""

    server: EmbeddedServer
    tcp_port: int | None
    name: str = "PostgreSQL"

    def start(self) -> None:
        self.server.start_again(self.tcp_port)

    def ended(self) -> str | None:
        return None if self.server.alive() else "ended"

    def answers(self) -> bool:
        return self.server.alive()

    def kill(self) -> None:
        """Never: starting it waits until it answers, and it may be recovering."""


@dataclass(frozen=True)
class Sandbox:
    """The sandbox of this home, which this process has joined."""

    settings: Settings
    name: str = "sandbox"

    def start(self) -> None:
        from repayment_platform.sandbox.process import ensure_running

        settings = self.settings
        ensure_running(settings.home, settings.sandbox_port, settings.sandbox_latency_ms)

    def ended(self) -> str | None:
        from repayment_platform.sandbox.process import listens

        return None if listens(self.settings.sandbox_port) else "ended"

    def answers(self) -> bool:
        return self.ended() is None

    def kill(self) -> None:
        """Never: starting it waits until it answers."""
