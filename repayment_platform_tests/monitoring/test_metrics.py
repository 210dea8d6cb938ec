"""The metrics that Prometheus reads."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from repayment_platform.monitoring import metrics
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform.web.metrics import create_app
from repayment_platform_tests.waiting import wait_until

Connection = psycopg.Connection[Any]
ATTEMPT = """
INSERT INTO "CORE"."CORE_POSTING_ATTEMPT"
    (source_key, source_lender, loan_external_id, payment_date, amount, idempotency_key, run_id,
     worker, intended_at, settled_at, outcome, settled_by)
SELECT gen_random_uuid(), 'DMI', gen_random_uuid(), '2026-11-01', 1, gen_random_uuid(), 'r', 1,
       at, CASE WHEN %(outcome)s::text IS NOT NULL THEN at + %(took)s * interval '1 second' END,
       %(outcome)s, CASE WHEN %(outcome)s::text IS NOT NULL THEN 'reply' END
FROM (SELECT now() - %(age)s * interval '1 minute' AS at) AS intent
"""
ROW = """
INSERT INTO "RAW"."RAW_DMI_NACH_CSV" (file_id, row_number, cells, outcome, landed_at)
SELECT 1, count(*) + 1, '{}', 'success', now() - %s * interval '1 minute'
FROM "RAW"."RAW_DMI_NACH_CSV"
"""


@pytest.fixture
def client(database_urls: DatabaseUrls) -> TestClient:
    return TestClient(create_app(database_urls.psycopg))


def samples(client: TestClient) -> dict[str, float]:
    """Name and labels, as Prometheus writes them, to the value."""
    text = client.get("/metrics").raise_for_status().text
    return {
        sample.name + str(sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def attempt(connection: Connection, outcome: str | None, took: float = 0.2, age: int = 20) -> None:
    connection.execute(ATTEMPT, {"outcome": outcome, "took": took, "age": age})


def test_attempts_are_counted_by_lender_and_outcome_and_timed(
    connection: Connection, client: TestClient
) -> None:
    for outcome, took in (("success", 0.02), ("success", 0.2), ("failed", 400.0)):
        attempt(connection, outcome, took)
    attempt(connection, None)
    seen = samples(client)
    assert seen["repayment_posting_attempts_total['DMI', 'success']"] == 2
    assert seen["repayment_posting_attempts_total['DMI', 'failed']"] == 1
    assert seen["repayment_posting_duration_seconds_bucket['0.025', 'success']"] == 1
    assert seen["repayment_posting_duration_seconds_bucket['0.25', 'success']"] == 2
    assert seen["repayment_posting_duration_seconds_bucket['300.0', 'failed']"] == 0
    assert seen["repayment_posting_duration_seconds_count['failed']"] == 1
    assert seen["repayment_posting_duration_seconds_sum['success']"] == pytest.approx(0.22)
    assert seen["repayment_in_doubt_payments[]"] == 1


def test_a_later_scrape_counts_each_attempt_once_whenever_it_was_settled(
    connection: Connection, client: TestClient
) -> None:
    """Old and young ones, and one that is settled only after others behind it were counted."""
    name = "repayment_posting_attempts_total['DMI', 'success']"
    attempt(connection, "success", age=20)
    attempt(connection, None, age=20)
    attempt(connection, "success", age=20)
    attempt(connection, "success", age=1)
    assert [samples(client)[name] for _ in range(2)] == [3, 3]
    connection.execute(
        'UPDATE "CORE"."CORE_POSTING_ATTEMPT" '
        "SET settled_at = now(), outcome = 'success', settled_by = 'lookup' "
        "WHERE settled_at IS NULL"
    )
    attempt(connection, "success", age=0)
    assert [samples(client)[name] for _ in range(2)] == [5, 5]


def test_what_landed_is_counted_by_source_once(connection: Connection, client: TestClient) -> None:
    name = "repayment_landed_records_total['RAW_DMI_NACH_CSV']"
    assert samples(client)[name] == 0
    for age in (20, 1):
        connection.execute(ROW, (age,))
    assert [samples(client)[name] for _ in range(2)] == [2, 2]
    connection.execute(ROW, (0,))
    assert samples(client)[name] == 3


def test_open_payments_and_the_age_of_the_oldest_are_shown(
    connection: Connection, client: TestClient
) -> None:
    connection.execute(
        'INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status, '
        "loan_external_id, payment_date, amount, run_id) "
        "VALUES ('c', 'DMI', 'undone', 'L1', '2026-11-01', 1, 'run')"
    )
    for key, state, minutes in (("a", "waiting", 90), ("b", "held", 200), ("c", "held", 10)):
        connection.execute(
            'INSERT INTO "CORE"."CORE_OPEN_WORK" (source_key, source_lender, loan_external_id, '
            "payment_date, amount, state, reason, since) "
            "VALUES (%s, 'DMI', 'L1', '2026-11-01', 1, %s, 'new', now() - %s * '1 min'::interval)",
            (key, state, minutes),
        )
    seen = samples(client)
    assert seen["repayment_open_payments['DMI', 'held']"] == 1
    assert seen["repayment_open_payments['DMI', 'undone']"] == 1
    assert seen["repayment_backlog_age_seconds['DMI']"] == pytest.approx(90 * 60, abs=60)


def test_the_pace_of_the_latest_run_is_shown_with_the_reason_of_its_last_change(
    connection: Connection, client: TestClient
) -> None:
    assert not [name for name in samples(client) if "under_way" in name or "latency" in name]
    connection.execute(
        'INSERT INTO "CORE"."CORE_POSTING_PACE" '
        "(run_id, under_way, highest, latency_seconds, former, why, changed_at) "
        "VALUES ('r', 3, 8, 0.045, 4, 'latency rises', to_timestamp(1700000000))"
    )
    seen = samples(client)
    assert seen["repayment_posting_under_way_limit[]"] == 3
    assert seen["repayment_posting_under_way_highest[]"] == 8
    assert seen["repayment_posting_latency_seconds[]"] == 0.045
    changed = "repayment_posting_limit_changed_timestamp_seconds['latency rises']"
    assert seen[changed] == 1_700_000_000


def test_without_a_database_it_answers_503_and_recovers() -> None:
    away = TestClient(create_app("host=127.0.0.1 port=9 connect_timeout=1"))
    assert away.get("/metrics").status_code == 503
    assert away.get("/healthz").status_code == 200


def test_scrapes_do_not_pile_up_behind_one_that_waits_for_ever(
    connection: Connection, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "WAIT_SECONDS", 0.2)
    with ThreadPoolExecutor() as pool:
        with connection.transaction():
            connection.execute('LOCK TABLE "CORE"."CORE_POSTING_ATTEMPT"')
            first = pool.submit(client.get, "/metrics")
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            wait_until(lambda: connection.execute(waiting).fetchone() != (0,))
            second = client.get("/metrics")
            assert (second.status_code, second.text) == (503, "an earlier scrape is still reading")
        assert first.result().status_code == 200
    assert client.get("/metrics").status_code == 200
