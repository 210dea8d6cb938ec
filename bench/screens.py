"""How long the list pages take with fifty thousand and with five million payments.

Both databases are made in the same run on the same server; the pages are asked of the application
as a browser asks, over HTTP, by one user. Run with `python -m bench.screens [PAYMENTS]`.
"""

import hashlib
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import uvicorn

from bench.support import copy_of, free_port, machine, scratch_database, scratch_home, show
from repayment_platform.settings import SANDBOX, Settings
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.operations import sessions
from repayment_platform.web.operations.app import create_app
from repayment_platform.web.operations.auth import COOKIE

FEW, MANY = 50_000, 5_000_000
ROUNDS = 7
LIMIT_MS = 300
# One payment in 50 is open, one in 20 never was a repayment, one in 1,000 has no loan.
FILL = """
CREATE TEMP TABLE made AS
SELECT n, md5(n::text) AS source_key,
       (ARRAY['ARTHMATE', 'DMI', 'GB', 'IKF', 'SHIVALIK', 'UGRO', 'VIVRITI'])[1 + n % 7] AS lender,
       CASE WHEN n % 1000 <> 3 THEN 'UGRO-LN-' || lpad((n % 400000)::text, 6, '0') END AS loan,
       DATE '2026-11-20' - (n * 400 / %(payments)s)::integer AS day,
       (100 + n % 30000)::numeric AS amount,
       CASE WHEN n % 7 IN (2, 5, 6) THEN 'RAZORPAY' END AS recon,
       n % 20 <> 7 AS is_success,
       CASE WHEN n % 20 = 7 OR n % 1000 = 3 THEN '' WHEN n % 50 = 1 THEN 'open' ELSE 'posted' END
           AS posting
FROM generate_series(1, %(payments)s) n;

INSERT INTO "CORE"."CORE_TRANSACTION_DATA" (source_key, source_lender, loan_external_id,
    payment_date, amount, is_success, recon_source, payment_ref, outcome, refunded_amount, utr,
    key_rule, observations, sources, first_raw_id, last_raw_id, first_landed_at, last_landed_at,
    batch)
SELECT source_key, lender, loan, day, amount, is_success, recon, 'razorpay:pay_' || n,
       CASE WHEN is_success THEN 'success' ELSE 'failed' END, 0, 'HDFC' || n, 'new', 1,
       '{RAW_UGRO_RAZORPAY_API}', n, n, day + interval '10 h', day + interval '10 h', 1
FROM made;
INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status,
    loan_external_id, payment_date, amount, payment_ref, recon_source, fineract_transaction_id,
    run_id, processed_at)
SELECT source_key, lender, 'success', loan, day, amount, 'razorpay:pay_' || n, recon, n, 'run',
       least(day + interval '12 h', now())
FROM made WHERE posting = 'posted';
INSERT INTO "CORE"."CORE_OPEN_WORK" (source_key, source_lender, loan_external_id, payment_date,
    amount, payment_ref, recon_source, state, reason)
SELECT source_key, lender, loan, day, amount, 'razorpay:pay_' || n, recon,
       (ARRAY['waiting', 'waiting', 'waiting', 'failed', 'held'])[1 + n / 50 % 5], 'for a reason'
FROM made WHERE posting = 'open';
INSERT INTO "CORE"."CORE_HOLD" (source_key, reason_code, reason, facts)
SELECT source_key, 'possible_duplicate', 'equal to another', '{}' FROM "CORE"."CORE_OPEN_WORK"
WHERE state = 'held';
INSERT INTO "CORE"."CORE_RECON_RECORD" (source_key, source_lender, recon_source, loan_external_id,
    payment_ref, payment_date, amount, utr, match_status, match_reason, payer_marks,
    first_landed_at, last_landed_at, batch)
SELECT source_key, lender, recon, loan, 'razorpay:pay_' || n, day, amount, 'HDFC' || n,
       CASE WHEN loan IS NULL THEN 'loan_unknown' WHEN n % 10 = 0 THEN 'gateway_only'
            ELSE 'matched' END, 'as it is', ARRAY['utr:HDFC' || n], day, day, 1
FROM made WHERE recon IS NOT NULL AND is_success;
INSERT INTO "CORE"."CORE_SETTLEMENT_LINES" (source_lender, settlement_utr, settlement_id,
    settled_on, lines, unread_lines, gross, refunds, fees, net, batch)
SELECT 'UGRO', 'SETTLED' || n, 'setl_' || n, day, 100, 0, 100000, 0, 2360, 97640, 1
FROM made WHERE n % 200 = 0;
INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API" (event_id, event_type, body, payload, headers, signed_by)
SELECT 'setl_' || n, 'settlement.processed', '', format('{"payload": {"settlement": {"entity":
    {"id": "setl_%s", "utr": "SETTLED%s", "amount": 9764000, "fees": 236000, "status": "processed",
     "created_at": %s}}}}', n, n, extract(epoch FROM day)::bigint)::json, '{}', 1
FROM made WHERE n % 200 = 0;
INSERT INTO "RAW"."RAW_UGRO_RAZORPAY_API" (event_id, event_type, body, headers, signed_by)
SELECT 'evt_' || n, 'payment.captured', '{}', '{}', 1
FROM generate_series(1, %(payments)s / 20) n;
INSERT INTO "CORE"."CORE_FILE_LOG" (raw_table, source_lender, name, status, received_by)
SELECT 'RAW_' || lender || '_NACH_CSV', lender, 'file ' || n, 'landed', 'bench'
FROM made WHERE n % 500 = 0;
INSERT INTO "CORE"."CORE_AUDIT_LOG" (who, action, subject)
SELECT 'user' || n % 20, 'hold.release', source_key FROM made WHERE n % 10 = 0;
INSERT INTO "CORE"."CORE_USER" (name, password_hash, role) VALUES ('bench', 'none', 'admin');
DROP TABLE made
"""
PAGES = {
    "Overview": "/",
    "Payments": "/payments",
    "Payments, page 100,000 rows on": "/payments?after=2026-11-12~{key}",
    "Payments of a lender in a month": "/payments?lender=DMI&from=2026-01-01&to=2026-01-31",
    "Payments posted": "/payments?status=success",
    "Payments failed": "/payments?status=failed",
    "Payments that are no repayment": "/payments?status=no_repayment&lender=IKF",
    "Payments without a loan": "/payments?status=loan_unknown",
    "Search by loan": "/payments?q=UGRO-LN-0047",
    "Search by payment id": "/payments?q=pay_4711",
    "Search by UTR": "/payments?q=HDFC4711",
    "Search by source key": "/payments?q={key}",
    "One payment": "/payments/{key}",
    "Reconciliation": "/reconciliation",
    "Reconciliation, matched, not posted": "/reconciliation?lender=UGRO&match=matched",
    "Reconciliation, everything": "/reconciliation?posting=every",
    "Reconciliation, loan unknown": "/reconciliation?match=loan_unknown",
    "Settlements": "/reconciliation/settlements",
    "Settlements that differ": "/reconciliation/settlements?lender=UGRO&differs=yes",
    "Requests": "/requests",
    "Held": "/exceptions",
    "Loan unknown": "/exceptions/unmatched",
    "Posted, then changed": "/exceptions/posted",
    "Files": "/log",
    "Files of a lender": "/log?lender=GB",
    "Webhooks": "/log/webhooks",
    "Lenders": "/lenders",
    "Audit": "/audit",
    "Audit of a user": "/audit?who=user7&action=hold",
}


def fill(urls: DatabaseUrls, payments: int) -> None:
    """Payments as they are after months of use."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for statement in FILL.split(";"):
            connection.execute(statement.replace("%(payments)s", str(payments)).encode())
        connection.execute("VACUUM ANALYZE")


@contextmanager
def served(urls: DatabaseUrls, home: Path) -> Iterator[httpx.Client]:
    """The screens over HTTP, and a user who has logged in."""
    settings = Settings(
        _env_file=None,
        database_url=urls.psycopg,
        repayment_home=home,
        fineract_base_url=SANDBOX,
    )
    port = free_port()
    config = uvicorn.Config(
        create_app(settings, urls.psycopg), port=port, log_level="error", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        token = sessions.start(connection, "bench")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        client.cookies.set(COOKIE, token)
        yield client
    server.should_exit = True
    thread.join()


def milliseconds(client: httpx.Client, path: str) -> float:
    """The median time of a page."""
    key = hashlib.md5(b"4711").hexdigest()
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        answer = client.get(path.format(key=key))
        took.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, (path, answer.status_code)
    return statistics.median(took)


def main(many: int) -> int:
    """Returns 1 when a page takes longer than it may."""
    times: dict[int, dict[str, float]] = {}
    with scratch_home() as home, scratch_database(home) as urls:
        for payments in (FEW, many):
            copy = copy_of(urls, f"payments_{payments}")
            started = time.perf_counter()
            fill(copy, payments)
            print(f"{payments:,} payments made in {time.perf_counter() - started:.0f} s")
            with served(copy, home) as client:
                times[payments] = {name: milliseconds(client, p) for name, p in PAGES.items()}
    rows = [(name, f"{times[FEW][name]:.0f}", f"{times[many][name]:.0f}") for name in PAGES]
    print(machine())
    show(("page, median ms", f"{FEW:,}", f"{many:,}"), rows)
    slow = [name for name in PAGES if times[many][name] > LIMIT_MS]
    print(f"slower than {LIMIT_MS} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else MANY))
