"""`./run operations`: the operations screens alone, as `up` starts them.

What belongs here: the command, and the server around the application. What does not: the
application (`web.operations`).
"""

import logging
import signal
import sys

import psycopg
import typer

from repayment_platform.commands.services import HOST
from repayment_platform.settings import Settings, load_settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

SHUTDOWN_SECONDS = 5


def operations() -> None:
    """Serve the operations screens on OPS_PORT until Ctrl-C; the first time, make a user."""
    settings = load_settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("starlette_admin").setLevel(logging.ERROR)
    # uvicorn sends itself the signal again once it has stopped; as SystemExit it lets the
    # embedded database be left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with warehouse(settings) as urls:
        migrate(urls)
        _welcome(urls.psycopg)
        _serve(settings, urls.psycopg)


def welcome_text(password: str) -> str:
    """What the first start says, once."""
    return (
        "The first user of the operations screens:\n"
        f"    name      admin\n    password  {password}\n"
        "It is good for one log-in, which asks for a password of your own."
    )


def _welcome(conninfo: str) -> None:
    from repayment_platform.web.operations.users import first_admin

    with psycopg.connect(conninfo) as connection:
        password = first_admin(connection)
    if password:
        typer.echo(welcome_text(password))


def _serve(settings: Settings, conninfo: str) -> None:
    import uvicorn

    from repayment_platform.web.operations.app import create_app

    uvicorn.run(
        create_app(settings, conninfo),
        host=HOST,
        port=settings.ops_port,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
