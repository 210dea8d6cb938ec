"""`./run metrics`: the metrics for Prometheus, as `up` serves them.

What belongs here: the command, and the server around the application. What does not: the
application (`web.metrics`).
"""

import signal
import sys

from repayment_platform.settings import load_settings
from repayment_platform.warehouse.server import warehouse


def metrics() -> None:
    """Serve GET /metrics on METRICS_PORT until Ctrl-C, on loopback unless LISTEN says
    otherwise."""
    import uvicorn

    from repayment_platform.web.metrics import create_app
    from repayment_platform.web.patience import ImpatientProtocol

    settings = load_settings()
    # uvicorn sends itself the signal again once it has stopped; as SystemExit it lets the
    # embedded database be left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with warehouse(settings, must_answer=False) as urls:
        uvicorn.run(
            create_app(urls.psycopg),
            host=settings.listen,
            port=settings.metrics_port,
            http=ImpatientProtocol,
            log_level="warning",
            server_header=False,
        )
