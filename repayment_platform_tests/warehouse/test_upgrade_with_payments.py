"""A database in use is upgraded: payments keep their keys, and people their questions and answers.

The dump was made by the release before keys knew what tells payments apart (revision 0012):
reports of two sources, a return after posting, a reference used again, equal rows that a person
released, ruled the same or has not judged, a payment on a link, a reference that a spreadsheet
spoilt.
"""

import gzip
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.dbt_once import run_dbt_here
from repayment_platform_tests.transformation.warehouse import Warehouse

DUMP = Path(__file__).parent / "dumps" / "revision_0012.sql.gz"
KEPT = {
    "keys": """SELECT raw_id, batch, source_key, rule, occurrence, loan_external_id, amount,
        payment_date, reports FROM "CORE"."CORE_PAYMENT_KEY" ORDER BY raw_id, batch""",
    "holds": 'SELECT * FROM "CORE"."CORE_HOLD" ORDER BY id',
    "exceptions": 'SELECT * FROM "CORE"."CORE_EXCEPTION" ORDER BY id',
    "postings": """SELECT source_key, status, amount, fineract_transaction_id
        FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" ORDER BY source_key""",
    "payments": """SELECT source_key, loan_external_id, amount, payment_date, is_success, outcome,
        conflict FROM "CORE"."CORE_TRANSACTION_DATA" ORDER BY source_key""",
}


def restore(urls: DatabaseUrls) -> None:
    """What pg_dump wrote, without the lines that only psql understands."""
    lines = gzip.decompress(DUMP.read_bytes()).decode().splitlines()
    script = "\n".join(line for line in lines if not line.startswith("\\"))
    script = script.replace("CREATE SCHEMA public;", "").replace("COMMENT ON SCHEMA public", "--")
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute(script.encode())


def kept(urls: DatabaseUrls) -> dict[str, Any]:
    with psycopg.connect(urls.psycopg, row_factory=dict_row) as connection:
        return {what: connection.execute(query).fetchall() for what, query in KEPT.items()}


@pytest.fixture
def upgraded(
    models_template: object, empty_database: DatabaseUrls
) -> tuple[DatabaseUrls, dict[str, Any]]:
    """The database of the dump after an upgrade and a run of dbt; what was kept there before."""
    restore(empty_database)
    before = kept(empty_database)
    migrate(empty_database)
    assert run_dbt_here(empty_database, "run").success
    return empty_database, before


def test_an_upgrade_keeps_every_key_hold_exception_and_posting(
    upgraded: tuple[DatabaseUrls, dict[str, Any]],
) -> None:
    urls, before = upgraded
    assert len(before["keys"]) > 20
    assert {hold["decision"] for hold in before["holds"]} == {None, "release", "same_payment"}
    assert len(before["exceptions"]) == 1
    assert kept(urls) == before


def test_what_was_keyed_before_is_known_again_by_the_new_rules(
    upgraded: tuple[DatabaseUrls, dict[str, Any]],
) -> None:
    """The next run fills in what tells the old reports apart, so none of them is posted twice."""
    urls, before = upgraded
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        models = Warehouse(urls, connection, landed=100)
        of_loan = {row["loan_external_id"]: row["source_key"] for row in before["payments"]}
        again: dict[str, dict[str, Any]] = {
            "ARTH-LN-2": {"umrn": "HDFC0000000000000012", "utr": "ICIC12"},
            "IKF-LN-1": {"umrn": "KKBK0875079948218001", "ref": "nach-ikf:53011201001"},
            "IKF-LN-2": {"umrn": "KKBK0875079948218002", "ref": "nach-ikf:53011202002"},
            "DMI-APP-7": {"amount": "700.00", "on": "2025-11-10", "ref": "nach-dmi:OTHER",
                          "utr": "ICIC7", "presentation_date": "2025-11-08"},
        }  # fmt: skip
        tables = {loan: f"RAW_{loan.split('-')[0]}_NACH_CSV" for loan in again}
        tables["ARTH-LN-2"] = "RAW_ARTHMATE_NACH_CSV"
        rows = {
            loan: models.file_row(tables[loan], loan, **columns, file_id=5000 + n)
            for n, (loan, columns) in enumerate(again.items())
        }
        models.build()
        keys = models.keys()
        assert keys[rows["IKF-LN-2"]]["source_key"] == of_loan["IKF-LN-2"]
        assert keys[rows["ARTH-LN-2"]]["source_key"] == of_loan["ARTH-LN-2"]
        assert {keys[rows[loan]]["rule"] for loan in ("IKF-LN-1", "DMI-APP-7")} == {"held"}
        old = [row for row in keys.values() if row["raw_id"] < min(rows.values())]
        assert {row["presents"] for row in old if row["loan_external_id"] == "DMI-APP-7"} == {True}
        assert all(row["outcome"] for row in old)
