"""Running the webhook receiver as a process of its own.

What belongs here: the server around the application. What does not: the application
(`web.receiver`).
"""

import logging
import resource
import signal
import sys

import uvicorn

from repayment_platform.settings import Settings
from repayment_platform.warehouse.server import warehouse
from repayment_platform.web.counts import listen
from repayment_platform.web.patience import ImpatientProtocol
from repayment_platform.web.receiver import create_app

KEEP_ALIVE_SECONDS = 75
"""Longer than a proxy keeps an idle connection: a request never meets a closing one."""
SHUTDOWN_SECONDS = 12
"""Longer than a body may take to arrive and its row to be committed."""


def serve(settings: Settings) -> None:
    """Serve `POST /webhooks/{provider}/{lender}` until SIGTERM or Ctrl-C.

    On a signal no connection is accepted any more, and what has been received is committed and
    answered before the process ends. The address of a client is taken from X-Forwarded-For
    when the proxy is named in FORWARDED_ALLOW_IPS (127.0.0.1 is by default).

    Raises:
        WarehouseUnavailable: the embedded database cannot be started, or DATABASE_URL is none.
            One that is away, at the start or later, is answered with 503 until it is back.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _allow_many_connections()
    # uvicorn sends itself the signal again once it has stopped; as SystemExit it lets the
    # embedded database be left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if settings.webhook_metrics_port:
        listen(settings.webhook_metrics_port)
    with warehouse(settings, must_answer=False) as urls:
        uvicorn.run(
            create_app(settings, urls.psycopg),
            host=settings.webhook_host,
            port=settings.webhook_port,
            http=ImpatientProtocol,
            ws="none",
            loop="uvloop",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


def _allow_many_connections() -> None:
    """Idle connections must not use up the descriptors before their time is over."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
