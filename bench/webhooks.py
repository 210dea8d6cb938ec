"""How many signed webhooks a second the receiver commits, and how long each waits for its 200.

    .venv/bin/python -m bench.webhooks [--rate 1000] [--seconds 60] [--connections 32]

Starts the embedded PostgreSQL (fsync on) in a scratch folder and the receiver as a process of
its own, and sends events of their own at a fixed rate from this process. Latency counts from
the moment an event was due, so a receiver that stalls cannot hide the events it kept waiting.
What belongs here: load and its measurement. What does not: proofs of behaviour (the tests).
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import uvloop
from pydantic import SecretStr

from repayment_platform.settings import Settings
from repayment_platform.sources.signatures import razorpay_signature
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.server import warehouse

SECRET = "bench_secret"
TABLE = "RAW_UGRO_RAZORPAY_API"
SERVE = """
from repayment_platform.commands.receiver import serve
from repayment_platform.settings import load_settings
serve(load_settings())
"""


@dataclass
class Measured:
    """What became of the events that were sent."""

    waits: list[float] = field(default_factory=list)
    """Seconds from due to answered, of each 200."""
    errors: dict[str, int] = field(default_factory=dict)

    def wait_ms(self, share: float) -> float:
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * share))] * 1000


def event(number: int, run: str) -> bytes:
    """One signed request: a captured UPI payment of about the size that Razorpay sends."""
    payment = {
        "id": f"pay_{run}{number:08d}",
        "entity": "payment",
        "amount": 125_050 + number,
        "currency": "INR",
        "status": "captured",
        "order_id": f"order_{run}{number:08d}",
        "method": "upi",
        "captured": True,
        "description": "EMI",
        "vpa": "borrower@bank",
        "notes": {"loan_id": f"UGRO-LN-{number % 100_000:06d}", "remarks": "x" * 700},
        "acquirer_data": {"rrn": f"{number:012d}"},
        "created_at": 1_763_521_800,
    }
    envelope = {
        "entity": "event",
        "account_id": "acc_BENCH",
        "event": "payment.captured",
        "contains": ["payment"],
        "payload": {"payment": {"entity": payment}},
        "created_at": 1_763_521_805,
    }
    body = json.dumps(envelope, separators=(",", ":")).encode()
    head = (
        "POST /webhooks/razorpay/ugro HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Razorpay-Signature: {razorpay_signature(SecretStr(SECRET), body).decode()}\r\n"
        f"x-razorpay-event-id: evt_{run}{number:08d}\r\n\r\n"
    )
    return head.encode() + body


async def send(
    events: "asyncio.Queue[tuple[float, bytes] | None]", port: int, measured: Measured
) -> None:
    """One keep-alive connection: takes an event when it is due, waits for its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (item := await events.get()) is not None:
        due, request = item
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = answer[9:12].decode()
        if status == "200":
            measured.waits.append(time.perf_counter() - due)
        else:
            measured.errors[status] = measured.errors.get(status, 0) + 1
    writer.close()


async def load(port: int, rate: int, seconds: int, connections: int, run: str) -> Measured:
    """Send `rate` events a second for `seconds`, however slowly they are answered."""
    measured = Measured()
    events: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    senders = [asyncio.create_task(send(events, port, measured)) for _ in range(connections)]
    began = time.perf_counter()
    for number in range(rate * seconds):
        due = began + number / rate
        if (early := due - time.perf_counter()) > 0.001:
            await asyncio.sleep(early)
        events.put_nowait((due, event(number, run)))
    for _ in senders:
        events.put_nowait(None)
    await asyncio.gather(*senders)
    return measured


def resident_mb(pid: int) -> float:
    """Memory of a process that is its own, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started_receiver(home: str, port: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "REPAYMENT_HOME": home,
        "WEBHOOK_PORT": str(port),
        "RAZORPAY_WEBHOOK_SECRETS_UGRO": SECRET,
    }
    process = subprocess.Popen((sys.executable, "-c", SERVE), env=environment)
    while process.poll() is None:
        try:
            asyncio.run(_ready(port))
        except OSError:
            time.sleep(0.1)
        else:
            return process
    raise SystemExit("the receiver did not start")


async def _ready(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def report(arguments: argparse.Namespace, measured: Measured, seconds: float) -> None:
    lines = {
        "asked for": f"{arguments.rate}/s for {arguments.seconds} s",
        "answered 200": f"{len(measured.waits)} ({len(measured.waits) / seconds:.0f}/s)",
        "p50": f"{measured.wait_ms(0.5):.1f} ms",
        "p99": f"{measured.wait_ms(0.99):.1f} ms",
        "max": f"{measured.wait_ms(1):.1f} ms",
        "errors": measured.errors or "none",
    }
    for name, value in lines.items():
        print(f"{name:<14} {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--port", type=int, default=18081)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-webhooks-") as home,
        warehouse(Settings(_env_file=None, repayment_home=Path(home))) as urls,
        psycopg.connect(urls.psycopg, autocommit=True) as connection,
    ):
        migrate(urls)
        receiver = started_receiver(home, arguments.port)
        try:
            rates = arguments.port, arguments.rate
            uvloop.run(load(*rates, 2, arguments.connections, "warm"))
            before, cpu_before = resident_mb(receiver.pid), cpu_seconds(receiver.pid)
            began = time.perf_counter()
            measured = uvloop.run(load(*rates, arguments.seconds, arguments.connections, "run"))
            seconds = time.perf_counter() - began
            report(arguments, measured, seconds)
            after, cpu = resident_mb(receiver.pid), cpu_seconds(receiver.pid) - cpu_before
            print(f"{'memory':<14} {before:.0f} MB before, {after:.0f} MB after")
            print(f"{'receiver CPU':<14} {cpu / seconds:.0%} of a core")
        finally:
            receiver.send_signal(signal.SIGTERM)
            receiver.wait(20)
        query = f"""SELECT count(*), count(DISTINCT event_id) FROM "RAW"."{TABLE}"
                    WHERE event_id LIKE 'evt_run%'"""
        print(f"{'rows, events':<14} {connection.execute(query).fetchone()}")


if __name__ == "__main__":
    main()
