"""What the database shows of trouble."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from repayment_platform.monitoring.findings import (
    note_arrivals,
    silent_lenders,
    waiting_too_long,
)
from repayment_platform.posting.allowance import TOO_LARGE

Connection = psycopg.Connection[Any]
TWO_HOURS = timedelta(hours=2)
WORK = """
INSERT INTO "CORE"."CORE_OPEN_WORK"
    (source_key, source_lender, loan_external_id, payment_date, amount, recon_source, state,
     reason, since)
VALUES (%s, 'DMI', 'L1', '2026-11-01', 125000, %s, %s, 'new', now() - %s)
"""
SENT = """
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT"
    (source_key, source_lender, loan_external_id, payment_date, amount, idempotency_key, run_id,
     worker, intended_at)
VALUES (%s, 'DMI', %s, '2026-11-01', 125000, %s, 'run', 1, now() - %s)
"""
ROW = """
INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, outcome, landed_at)
SELECT 1, count(*) + 1, '{}', 'success', now() - %s FROM "RAW"."RAW_DMI_NACH_CSV"
"""
ARRIVAL = """
INSERT INTO "CORE"."CORE_ARRIVAL" (source_lender, hour)
SELECT 'DMI', date_trunc('hour', now()) - %s * interval '1 hour' - n * interval '24 hours'
FROM generate_series(0, %s) AS n
"""


def test_payments_that_an_automated_run_should_have_posted_are_a_backlog(
    connection: Connection,
) -> None:
    for key, recon, state, age in (
        ("late", None, "waiting", 3),
        ("unknown", None, "unknown", 3),
        ("fresh", None, "waiting", 1),
        ("recon", "payment", "waiting", 3),
        ("held", None, "held", 3),
        ("deferred", None, "deferred", 3),
    ):
        connection.execute(WORK, (key, recon, state, timedelta(hours=age)))
    (found,) = waiting_too_long(connection, TWO_HOURS)
    assert (found.kind, found.subject) == ("backlog", "DMI")
    assert found.detail.startswith("2 payments of DMI, ₹ 2,50,000.00, wait to be posted")


def test_a_payment_that_awaits_approval_or_exceeds_what_a_run_may_post_is_in_the_backlog(
    connection: Connection,
) -> None:
    connection.execute(WORK, ("approval", None, "awaiting_approval", timedelta(hours=3)))
    connection.execute(WORK, ("large", None, "deferred", timedelta(hours=3)))
    connection.execute(WORK, ("over", None, "deferred", timedelta(hours=3)))
    deferred = 'UPDATE "CORE"."CORE_OPEN_WORK" SET reason = %s WHERE source_key = %s'
    connection.execute(deferred, (TOO_LARGE, "large"))
    connection.execute(deferred, ("over the lender's limit for one run", "over"))
    (found,) = waiting_too_long(connection, TWO_HOURS)
    assert found.detail.startswith("2 payments of DMI")


@pytest.mark.parametrize("state", ["sending", "unknown", "awaiting_approval"])
def test_a_reconciled_payment_is_in_the_backlog_when_it_was_sent_long_ago_without_an_end(
    connection: Connection, state: str
) -> None:
    connection.execute(WORK, ("old", "payment", state, timedelta(days=30)))
    connection.execute(WORK, ("new", "payment", state, timedelta(days=30)))
    connection.execute(SENT, ("old", "L1", "k1", timedelta(hours=3)))
    connection.execute(SENT, ("new", "L2", "k2", timedelta(hours=1)))
    (found,) = waiting_too_long(connection, TWO_HOURS)
    assert found.detail.startswith("1 payments of DMI")


def test_records_that_no_dbt_run_has_read_are_a_backlog(connection: Connection) -> None:
    connection.execute(ROW, (timedelta(hours=1),))
    assert waiting_too_long(connection, TWO_HOURS) == []
    connection.execute(ROW, (timedelta(hours=3),))
    (found,) = waiting_too_long(connection, TWO_HOURS)
    assert (found.kind, found.subject) == ("backlog", "RAW_DMI_NACH_CSV")


def test_a_lender_is_silent_after_twice_its_usual_gap(connection: Connection) -> None:
    """A file a day: two days are patience, three are not."""
    connection.execute(ARRIVAL, (47, 20))
    assert silent_lenders(connection) == []
    connection.execute('DELETE FROM "CORE"."CORE_ARRIVAL"')
    connection.execute(ARRIVAL, (72, 20))
    assert [found.subject for found in silent_lenders(connection)] == ["DMI"]


def test_nobody_knows_what_is_usual_for_a_new_lender(connection: Connection) -> None:
    connection.execute(ARRIVAL, (500, 9))
    assert silent_lenders(connection) == []


def test_an_arrival_ends_the_silence(connection: Connection) -> None:
    connection.execute(ARRIVAL, (72, 20))
    connection.execute(ROW, (timedelta(0),))
    note_arrivals(connection)
    note_arrivals(connection)
    assert silent_lenders(connection) == []
