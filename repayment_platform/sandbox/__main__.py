"""`python -m repayment_platform.sandbox`: serve one ledger until told to stop."""

import argparse
import os
import socket
import sqlite3
import sys
from datetime import date
from pathlib import Path

import uvicorn

from repayment_platform.sandbox.app import create_app
from repayment_platform.sandbox.config import API, Config


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
    )
    try:
        app = create_app(config)
    except sqlite3.DatabaseError as error:
        return _refuse(f"cannot open the ledger {config.ledger}: {error}")
    try:
        listener = socket.create_server((options.host, options.port), backlog=1024)
    except OSError as error:
        return _refuse(
            f"cannot listen on {options.host}:{options.port}: {os.strerror(error.errno or 0)}"
        )
    url = f"http://{options.host}:{listener.getsockname()[1]}{API}"
    sys.stdout.write(f"sandbox ready: {url} (ledger {config.ledger})\n")
    sys.stdout.flush()
    server = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(server).run(sockets=[listener])
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
    parser.add_argument("--business-date", type=date.fromisoformat, help="default: today in India")
    parser.add_argument("--duplicate-flavour", choices=("postgres", "mysql"), default="postgres")
    return parser


def _refuse(reason: str) -> int:
    sys.stderr.write(f"sandbox: {reason}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
