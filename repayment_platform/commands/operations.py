"""`./run operations`: the operations screens alone, as `up` starts them.

What belongs here: the command, and the server around the application. What does not: the
application (`web.operations`).
"""

import logging
import signal
import sys
from typing import Annotated

import psycopg
import typer

from repayment_platform.commands.platform import settings_told
from repayment_platform.settings import Settings
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

SHUTDOWN_SECONDS = 5


def operations(
    first: Annotated[
        bool, typer.Option("--first-user/--no-first-user", help="Make one where there is none.")
    ] = True,
) -> None:
    """Serve the operations screens on OPS_PORT until Ctrl-C.

    The first time it makes the user admin and shows the password, once.
    """
    settings = settings_told()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("starlette_admin").setLevel(logging.ERROR)
    # uvicorn sends itself the signal again once it has stopped; as SystemExit it lets the
    # embedded database be left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with warehouse(settings) as urls:
        migrate(urls)
        if first:
            typer.echo(first_user(urls.psycopg), nl=False)
        _serve(settings, urls.psycopg)


def first_user(conninfo: str) -> str:
    """Make the user admin where there is no user; what to tell about it then, else nothing."""
    from repayment_platform.web.operations.users import first_admin

    with psycopg.connect(conninfo) as connection:
        password = first_admin(connection)
    if password is None:
        return ""
    return (
        "\nThe first user of the operations screens; the password is shown only now, and good for\n"
        f"one log-in:\n\n    name      admin\n    password  {password}\n\n"
    )


def _serve(settings: Settings, conninfo: str) -> None:
    import uvicorn

    from repayment_platform.web.operations.app import create_app
    from repayment_platform.web.patience import ImpatientProtocol

    uvicorn.run(
        create_app(settings, conninfo),
        host=settings.listen,
        port=settings.ops_port,
        http=ImpatientProtocol,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
