"""The parts of the platform that `up` runs, and what it takes to start each of them again.

What belongs here: which they are, with their commands and secrets; PostgreSQL and the sandbox,
which are shared with other commands, as parts. What does not: watching them (`supervisor`).
"""

import sys
import threading

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
    return (Service("code-server", command, port, b"", secrets=(*FINERACT, ALERTS)),)


def services(settings: Settings) -> tuple[Service, ...]:
    """What `up` runs beside PostgreSQL, the sandbox and the code server."""
    cli = (*_PYTHON, "repayment_platform.cli")
    operations = (*cli, "operations", "--no-first-user")
    daemon = (*_PYTHON, DAEMON, "run", "--workspace", str(WORKSPACE))
    return (
        Service("webhooks", (*cli, "webhooks"), settings.webhook_port, secrets=WEBHOOK_SECRETS),
        Service("operations", operations, settings.ops_port, secrets=FINERACT),
        Service("metrics", (*cli, "metrics"), settings.metrics_port),
        Service("dagster-webserver", (*_PYTHON, f"{_COMMANDS}.webserver"), settings.dagster_port),
        Service("dagster-daemon", daemon, secrets=(*FINERACT, ALERTS)),
    )


class Shared:
    """A part that other commands use too, which this process has joined.

    Starting it waits until it answers, or for another who is starting it. That may take minutes,
    in which all other parts are looked at, so a thread waits.
    """

    name: str

    def __init__(self) -> None:
        self._starter: threading.Thread | None = None
        self._failure: str | None = None

    def start(self) -> None:
        self._failure = None
        self._starter = threading.Thread(target=self._start, name=self.name, daemon=True)
        self._starter.start()

    def ended(self) -> str | None:
        if self._starter and self._starter.is_alive():
            return None
        if self._failure is not None:
            return f"could not be started ({self._failure})"
        return None if self.runs() else "ended"

    def answers(self) -> bool:
        return not (self._starter and self._starter.is_alive()) and self.runs()

    def kill(self) -> None:
        """Never: it may be recovering, and is not ours alone."""

    def start_it(self) -> None:
        """Start it if it does not run, and wait until it answers."""
        raise NotImplementedError

    def runs(self) -> bool:
        """Whether it does; asked often, so it must not wait."""
        raise NotImplementedError

    def _start(self) -> None:
        try:
            self.start_it()
        except Exception as error:  # noqa: BLE001 - told, and tried again
            self._failure = " ".join(str(error).split()) or type(error).__name__


class PostgreSQL(Shared):
    """The embedded server."""

    name = "PostgreSQL"

    def __init__(self, server: EmbeddedServer, tcp_port: int | None) -> None:
        super().__init__()
        self._server, self._tcp_port = server, tcp_port

    def start_it(self) -> None:
        self._server.start_again(self._tcp_port)

    def runs(self) -> bool:
        return self._server.alive()


class Sandbox(Shared):
    """The sandbox of this home."""

    name = "sandbox"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def start_it(self) -> None:
        from repayment_platform.sandbox.process import ensure_running

        settings = self._settings
        ensure_running(settings.home, settings.sandbox_port, settings.sandbox_latency_ms)

    def runs(self) -> bool:
        from repayment_platform.sandbox.process import listens

        return listens(self._settings.sandbox_port)
