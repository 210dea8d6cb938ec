"""GET /metrics for Prometheus, and /healthz, without a log-in: not for the internet.

What belongs here: the answers. What does not: the metrics (`monitoring.metrics`).
"""

import psycopg
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from repayment_platform.monitoring.metrics import PlatformCollector


def create_app(conninfo: str) -> Starlette:
    """The metrics of the database at `conninfo` as an ASGI application."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PlatformCollector(conninfo))

    def metrics(_request: Request) -> Response:
        try:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        except psycopg.Error:
            return PlainTextResponse("database away, or not migrated", 503)
        except TimeoutError as error:
            return PlainTextResponse(str(error), 503)

    def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz)])
