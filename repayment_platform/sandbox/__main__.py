"""`python -m repayment_platform.sandbox`: serve one ledger until told to stop."""

import argparse
import os
import socket
import sqlite3
import sys
import time
from datetime import date
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from repayment_platform.sandbox.app import create_app
from repayment_platform.sandbox.config import API, Config
from repayment_platform.sandbox.faults import Plan
from repayment_platform.sandbox.machine import Capacity

OVERLOAD_PER_CORE = 20
"""On two cores, 20 at once went well and 50 did not."""


def main() -> int:
    options = _parser().parse_args()
    config = Config(
        ledger=options.ledger.absolute(),
        latency_ms=options.latency_ms,
        user=options.user,
        password=options.password,
        tenant=options.tenant,
        business_date=options.business_date,
        duplicate_flavour=options.duplicate_flavour,
        conflicts=options.conflicts,
        capacity=Capacity(
            cores=options.cores,
            service_ms=options.service_ms,
            overload_at=options.overload_at or (options.cores or 0) * OVERLOAD_PER_CORE or None,
        ),
    )
    try:
        plan = Plan.model_validate_json(options.faults.read_bytes()) if options.faults else Plan()
    except (OSError, ValidationError) as error:
        return _refuse(f"cannot read the faults in {options.faults}: {error}")
    # As Fineract's, a start takes its time, and nobody listens until it is over.
    time.sleep(options.start_seconds)
    try:
        app = create_app(config, plan)
    except sqlite3.DatabaseError as error:
        return _refuse(f"cannot open the ledger {config.ledger}: {error}")
    try:
        listener = socket.create_server((options.host, options.port), backlog=1024)
    except OSError as error:
        return _refuse(
            f"cannot listen on {options.host}:{options.port}: {os.strerror(error.errno or 0)}"
        )
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
        ssl_certfile=options.certificate,
    )
    try:
        settings.load()
    except OSError as error:
        return _refuse(f"cannot use the certificate {options.certificate}: {error}")
    scheme = "https" if options.certificate else "http"
    url = f"{scheme}://{options.host}:{listener.getsockname()[1]}{API}"
    sys.stdout.write(f"sandbox ready: {url} (ledger {config.ledger})\n")
    sys.stdout.flush()
    uvicorn.Server(settings).run(sockets=[listener])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sandbox", description="A Fineract stand-in.")
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--ledger", type=Path, required=True, help="SQLite file, made if absent")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--user", default="mifos")
    parser.add_argument("--password", default="password")
    parser.add_argument("--tenant", default="default")
    parser.add_argument(
        "--certificate", type=Path, help="PEM of certificate and key: it is served over TLS"
    )
    parser.add_argument("--business-date", type=date.fromisoformat, help="default: today in India")
    parser.add_argument("--duplicate-flavour", choices=("postgres", "mysql"), default="postgres")
    _add_troubles(parser.add_argument_group("what a Fineract's users have to live with"))
    return parser


def _add_troubles(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--conflicts", action="store_true", help="409 for commands of one loan that meet"
    )
    group.add_argument(
        "--cores", type=_above_zero, help="so many requests are worked on at once (default: all)"
    )
    group.add_argument(
        "--service-ms", type=float, default=0, help="how long a request holds its core"
    )
    group.add_argument(
        "--overload-at",
        type=_above_zero,
        help="with more commands at once, a few of them are answered 500 although posted"
        f" (default: {OVERLOAD_PER_CORE} for each core)",
    )
    group.add_argument(
        "--start-seconds", type=float, default=0, help="until it listens (Fineract: about 80)"
    )
    group.add_argument("--faults", type=Path, help="a JSON file: what POST /sandbox/faults takes")


def _above_zero(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def _refuse(reason: str) -> int:
    sys.stderr.write(f"sandbox: {reason}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
