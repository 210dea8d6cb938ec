"""What the receiver answered, counted for Prometheus in the receiver's own process.

What belongs here: the counter and its listener on loopback; the receiver's own port faces the
internet. What does not: what can be read from the database (`monitoring.metrics`).
"""

from prometheus_client import CollectorRegistry, Counter, start_http_server

LOOPBACK = "127.0.0.1"
registry = CollectorRegistry()
answers = Counter(
    "repayment_webhook_answers",
    "Answers to deliveries, by RAW table and HTTP status.",
    ("source", "status"),
    registry=registry,
)


def listen(port: int) -> None:
    """Serve GET /metrics on loopback from a thread of its own, until the process ends.

    Raises:
        OSError: the port is taken.
    """
    start_http_server(port, addr=LOOPBACK, registry=registry)
