"""A database in use is upgraded: payments keep their keys, and people their questions and answers.

Each dump was made by the release of its revision. 0012 is that before keys knew what tells payments
apart: reports of two sources, a return after posting, a reference used again, equal rows that a
person released, ruled the same or has not judged, a payment on a link, a reference that a
spreadsheet spoilt. 0013 and 0014 are those before holds and exceptions became one table: of each
kind some that are open, decided, overtaken by other facts or closed by themselves; a repost that
waits and two that were posted, a refusal, an approval that is awaited. They are before what is
reversed in the ledger became undone, too: of that there are some that are open, left as it is,
posted again, changed, and found in doubt.
"""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from repayment_platform.posting.feed import READ_ANEW, refresh
from repayment_platform.posting.model import Selection
from repayment_platform.posting.proof import nothing_unaccounted
from repayment_platform.posting.runner import inspect_queue
from repayment_platform.sources.registry import automated_lenders
from repayment_platform.warehouse.migrate import migrate
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.dbt_once import run_dbt_here
from repayment_platform_tests.transformation.warehouse import Warehouse

DUMPS = Path(__file__).parent / "dumps"
OLDEST = "0012"
REVERSED = ("ledger_reversed", "reversed_in_ledger")
_REVERSED_KEYS = f"""(SELECT source_key FROM "CORE"."CORE_EXCEPTION" WHERE kind IN {REVERSED}
    UNION SELECT source_key FROM "CORE"."CORE_HOLD" WHERE reason_code IN {REVERSED})"""
KEPT = {
    "keys": """SELECT raw_id, batch, source_key, rule, occurrence, loan_external_id, amount,
        payment_date, reports FROM "CORE"."CORE_PAYMENT_KEY" ORDER BY raw_id, batch""",
    # Of a doubt that a look-up settled, the attempt is told since.
    "holds": """SELECT source_key, reason_code, reason, facts - 'attempt' AS facts, held_at,
        decision, decided_by, decided_why, decided_at FROM "CORE"."CORE_HOLD"
        WHERE reason_code <> 'reversed_in_ledger' ORDER BY id""",
    "exceptions": """SELECT id, source_key, kind, detail, raised_at, closed_at, closed_by,
        closed_why FROM "CORE"."CORE_EXCEPTION" e
        WHERE to_jsonb(e) ->> 'holds' IS DISTINCT FROM 'true'
        AND kind NOT IN ('ledger_reversed', 'reversed_in_ledger') ORDER BY id""",
    "postings": f"""SELECT source_key, status, amount, fineract_transaction_id
        FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"
        WHERE source_key NOT IN {_REVERSED_KEYS} ORDER BY source_key""",
    "payments": f"""SELECT source_key, loan_external_id, amount, payment_date, is_success, outcome,
        conflict FROM "CORE"."CORE_TRANSACTION_DATA"
        WHERE source_key NOT IN {_REVERSED_KEYS} ORDER BY source_key""",
}


NOT_ASKED_BEFORE = ["refused", "awaiting_approval", "loan_unknown"]

OF_OPERATORS = """
CREATE VIEW held AS SELECT source_key, reason FROM "CORE"."CORE_HOLD" WHERE decision IS NULL;
CREATE VIEW how_many_held AS SELECT count(*) AS n FROM held
"""


def restore(urls: DatabaseUrls, revision: str) -> None:
    """What pg_dump wrote, without the lines that only psql understands."""
    dump = (DUMPS / f"revision_{revision}.sql.gz").read_bytes()
    lines = gzip.decompress(dump).decode().splitlines()
    script = "\n".join(line for line in lines if not line.startswith("\\"))
    script = script.replace("CREATE SCHEMA public;", "").replace("COMMENT ON SCHEMA public", "--")
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute(script.encode())


def kept(urls: DatabaseUrls) -> dict[str, Any]:
    with psycopg.connect(urls.psycopg, row_factory=dict_row) as connection:
        return {what: connection.execute(query).fetchall() for what, query in KEPT.items()}


@pytest.fixture(params=(OLDEST, "0013", "0014"))
def upgraded(
    models_template: object, empty_database: DatabaseUrls, request: pytest.FixtureRequest
) -> tuple[DatabaseUrls, dict[str, Any]]:
    """The database of a dump after an upgrade and a run of dbt; what was kept there before."""
    restore(empty_database, request.param)
    before = kept(empty_database)
    with psycopg.connect(empty_database.psycopg, autocommit=True) as connection:
        connection.execute(OF_OPERATORS)
    migrate(empty_database)
    assert run_dbt_here(empty_database, "run").success
    return empty_database, before


def test_an_upgrade_keeps_every_key_hold_exception_and_posting(
    upgraded: tuple[DatabaseUrls, dict[str, Any]],
) -> None:
    urls, before = upgraded
    assert len(before["keys"]) > 20
    assert {hold["decision"] for hold in before["holds"]} >= {None, "release", "same_payment"}
    assert before["exceptions"]
    assert kept(urls) == before


@pytest.mark.parametrize("upgraded", [OLDEST], indirect=True)
def test_an_upgrade_keeps_operators_views_of_holds(
    upgraded: tuple[DatabaseUrls, dict[str, Any]],
) -> None:
    urls, before = upgraded
    held = [hold for hold in before["holds"] if hold["decision"] is None]
    with psycopg.connect(urls.psycopg) as connection:
        row = connection.execute("SELECT n FROM how_many_held").fetchone()
    assert row == (len(held),)


def test_what_was_asked_and_decided_before_an_upgrade_is_not_asked_again(
    upgraded: tuple[DatabaseUrls, dict[str, Any]],
) -> None:
    urls, before = upgraded
    selection = Selection(automated_lenders())
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute(READ_ANEW)
        asyncio.run(_refreshed(urls))
        assert inspect_queue(urls.psycopg, selection, "run-1")
        held = connection.execute(
            """SELECT source_key, reason_code FROM "CORE"."CORE_HOLD"
               WHERE decision IS NULL
                 AND reason_code NOT IN ('reversed_in_ledger', 'asked_first')"""
        ).fetchall()
        asked = connection.execute(
            """SELECT source_key, kind FROM "CORE"."CORE_EXCEPTION"
               WHERE closed_at IS NULL AND NOT holds AND kind <> ALL (%s)""",
            ([*NOT_ASKED_BEFORE, "reversed_in_ledger"],),
        ).fetchall()
    open_before = [h for h in before["holds"] if h["decision"] is None]
    assert sorted(held) == sorted((h["source_key"], h["reason_code"]) for h in open_before)
    assert sorted(asked) == sorted(
        (e["source_key"], e["kind"]) for e in before["exceptions"] if e["closed_at"] is None
    )


OF_LOANS = """
SELECT t.loan_external_id, p.status, p.error_text, w.state, t.is_success,
       (SELECT array_agg((e.kind, e.holds, e.decision, e.words)::text ORDER BY e.id)
        FROM "CORE"."CORE_EXCEPTION" e
        WHERE e.source_key = t.source_key AND e.kind IN ('ledger_reversed', 'reversed_in_ledger')
          AND (e.decision IS DISTINCT FROM 'gone'))
FROM "CORE"."CORE_TRANSACTION_DATA" t
LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p USING (source_key)
LEFT JOIN "CORE"."CORE_OPEN_WORK" w USING (source_key)
WHERE t.loan_external_id = ANY (%s) ORDER BY 1
"""


WAS, CHANGED = "was undone in the ledger", "was changed in the ledger to 950.00 (transaction 18)"
ASKED, REPOSTED = f'(reversed_in_ledger,t,,"{WAS}")', f'(ledger_reversed,f,repost,"{WAS}")'
LEFT = f'(ledger_reversed,f,leave,"{WAS}")', f'(reversed_in_ledger,t,not_a_repayment,"{WAS}")'
IN_DOUBT = '(reversed_in_ledger,t,repost,"it was posted and undone in Fineract")'
UNDONE_OF_LOANS: dict[str, tuple[Any, ...]] = {
    "DMI-APP-17": ("undone", WAS, "held", True, [ASKED]),
    "DMI-APP-18": ("undone", WAS, None, False, [*LEFT]),
    "DMI-APP-19": ("success", None, None, True, [REPOSTED]),
    "DMI-APP-20": ("success", None, None, True, [REPOSTED]),
    "DMI-APP-21": ("undone", CHANGED, "held", True, [f'(reversed_in_ledger,t,,"{CHANGED}")']),
    "DMI-APP-31": ("undone", WAS, "held", True, [ASKED]),  # found in doubt, as 33
    "DMI-APP-33": ("success", None, None, True, [IN_DOUBT]),
    "DMI-APP-34": ("failed", "undone by mistake", "waiting", True, [REPOSTED]),
}
"""Of each loan's payment: its outcome and words, where it waits, whether it is a repayment, and
what is asked and was decided."""


@pytest.mark.parametrize("upgraded", ["0013", "0014"], indirect=True)
def test_what_the_ledger_had_reversed_before_an_upgrade_is_undone_and_asked_once(
    upgraded: tuple[DatabaseUrls, dict[str, Any]],
) -> None:
    urls, _ = upgraded
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(READ_ANEW)
            asyncio.run(_refreshed(urls))
            found = connection.execute(OF_LOANS, (list(UNDONE_OF_LOANS),)).fetchall()
            assert {row[0]: row[1:] for row in found} == UNDONE_OF_LOANS
    assert nothing_unaccounted(urls.psycopg).findings == []


async def _refreshed(urls: DatabaseUrls) -> None:
    async with (
        await psycopg.AsyncConnection.connect(urls.psycopg, autocommit=True) as connection,
        connection.transaction(),
    ):
        await refresh(connection)


@pytest.mark.parametrize("upgraded", [OLDEST], indirect=True)
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
