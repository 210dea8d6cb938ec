"""The real loader makes of every file what the truth says, and the receiver of every delivery."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from repayment_platform.landing.files import ingest_file
from repayment_platform.sample_data.deliver import Counts
from repayment_platform.warehouse.urls import DatabaseUrls

Truth = Mapping[str, Any]


def test_every_file_lands_with_the_rows_that_the_truth_counts(
    sample: Path, told: Truth, database_urls: DatabaseUrls
) -> None:
    for file in told["files"]:
        path = sample / file["source"] / file["name"]
        result = ingest_file(database_urls.psycopg, path, file["source"], received_by="test")
        assert result.status == "landed", result.error
        assert result.counts is not None
        landed = (result.counts.rows_landed, result.counts.rows_quarantined)
        assert landed == (file["landed"], file["quarantined"]), path.name
    assert sum(file["quarantined"] for file in told["files"]) > 5


def test_the_files_come_in_several_encodings_and_as_workbooks(
    sample: Path, told: Truth, database_urls: DatabaseUrls
) -> None:
    seen = set()
    for file in told["files"]:
        path = sample / file["source"] / file["name"]
        result = ingest_file(
            database_urls.psycopg, path, file["source"], received_by="test", preview=True
        )
        assert result.counts is not None
        seen.add(result.counts.encoding.split()[0])
    assert seen == {"utf-8", "utf-8-sig", "cp1252", "sheet"}


def test_every_delivery_is_accepted_and_lands_once(
    sample: Path,
    told: Truth,
    database_urls: DatabaseUrls,
    send_webhooks: Callable[[Path], Counts],
) -> None:
    answers = send_webhooks(sample)
    webhooks = told["webhooks"]
    assert answers == {(table, 200): sent["deliveries"] for table, sent in webhooks.items()}
    with psycopg.connect(database_urls.psycopg) as connection:
        for table, sent in webhooks.items():
            [count] = connection.execute(f'SELECT count(*) FROM "RAW"."{table}"').fetchone() or [0]
            assert count == sent["landed"], table
