"""What is said of holds, exceptions, the ledger and the installation, whatever a database has set.

Each setting would change what is read: days in another order, times of another place, tables that
are not found, connections that are closed while Fineract is asked.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.monitoring.doctor import examine
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.command import commands_on
from repayment_platform_tests.posting.conftest import Bench

HOSTILE = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kolkata",
    "search_path": "nowhere",
    "idle_session_timeout": "5ms",
    "idle_in_transaction_session_timeout": "5ms",
    "lock_timeout": "1ms",
    "client_encoding": "SQL_ASCII",
}
AGE = re.compile(r"[+-]?\d+(\.\d+)? (s|GiB)\b")
"""What differs from one moment to the next."""


@contextmanager
def made_hostile(urls: DatabaseUrls, name: str) -> Iterator[None]:
    database = sql.Identifier(urls.dbname)
    change = sql.SQL("ALTER DATABASE {} SET {} = {}")
    with psycopg.connect(urls.psycopg, autocommit=True) as owner:
        owner.execute(change.format(database, sql.Identifier(name), HOSTILE[name]))
        try:
            yield
        finally:
            owner.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(database))


def everything(bench: Bench, urls: DatabaseUrls) -> dict[str, object]:
    """What the commands, the comparison with the ledger and doctor say."""
    run = commands_on(urls, bench.sandbox)
    bench.faults({"kind": "latency", "ms": 50})
    proof = asyncio.run(ledger_agrees(bench.settings, bench.conninfo, LedgerScope()))
    checks = [(c.name, c.right, AGE.sub("", c.seen)) for c in examine(bench.settings, urls)]
    said = {words: run(words) for words in ("holds", "exceptions", "status")}
    return {"proof": (proof.checked, proof.findings), "doctor": checks} | said


@pytest.mark.parametrize("name", HOSTILE)
def test_answers_are_the_same_whatever_the_database_has_set(
    bench: Bench, database_urls: DatabaseUrls, name: str
) -> None:
    bench.loans("LN-1", "LN-2", "LN-3")
    undone, _, held = (bench.payment(loan) for loan in ("LN-1", "LN-2", "LN-3"))
    run = commands_on(database_urls, bench.sandbox)
    assert run("hold", held, "--why", "आशा asks ₹").code == 0
    bench.post()
    bench.sandbox.post(f"undo/{undone}")
    everything(bench, database_urls)  # what is found the first time is told otherwise
    before = everything(bench, database_urls)
    assert held in str(before["holds"])
    assert undone in str(before["proof"])

    with made_hostile(database_urls, name):
        assert everything(bench, database_urls) == before
