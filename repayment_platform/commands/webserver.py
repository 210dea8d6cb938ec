"""Dagster's webserver, as `./run up` and `deploy/start` start it: behind the door.

What belongs here: the process around the application. What does not: who may pass (`defs.door`).
Dagster's own command, `dagster-webserver`, would serve its UI to anybody.
"""

import logging
import signal
import sys

from repayment_platform.commands.platform import platform
from repayment_platform.settings import ROOT, load_settings

WORKSPACE = ROOT / "deploy" / "workspace.yaml"
SHUTDOWN_SECONDS = 5


def main() -> None:
    """Serve Dagster's UI on DAGSTER_PORT until Ctrl-C."""
    import uvicorn

    from repayment_platform.defs.door import Door, dagsters_app, prefix_of
    from repayment_platform.web.patience import ImpatientProtocol

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    settings = load_settings()
    prefix = prefix_of(settings)
    # uvicorn sends itself the signal again once it has stopped; as SystemExit it lets the
    # embedded database be left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (
        platform(settings) as urls,
        dagsters_app(urls.psycopg, prefix, str(WORKSPACE)) as app,
    ):
        uvicorn.run(
            Door(app, settings, urls.psycopg),
            host=settings.listen,
            port=settings.dagster_port,
            http=ImpatientProtocol,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


if __name__ == "__main__":
    main()
