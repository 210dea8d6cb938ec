"""Gathering what happened in a played seed, from the database, the ledger and the wire log.

What belongs here: reading. What does not: judging (`rules`).
"""

import asyncio
import time
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.proof import (
    nothing_recorded_twice,
    nothing_unaccounted,
)
from repayment_platform_tests.faults.campaign.history import (
    Attempt,
    History,
    LedgerRow,
    OpenWork,
    Outcome,
    Request,
    Write,
)
from repayment_platform_tests.faults.campaign.place import Database
from repayment_platform_tests.faults.campaign.play import Play

_ATTEMPTS = """
SELECT id, source_key AS key, loan_external_id AS loan, payment_date AS day, amount, payment_ref,
       source_lender AS lender, idempotency_key, run_id, intended_at, outcome, settled_by,
       settled_at, error_code, error_text AS reason
FROM "CORE"."CORE_POSTING_ATTEMPT" ORDER BY id
"""
_WRITES = "SELECT at, writer, what AS table, old, new FROM witness.saw ORDER BY id"
_OPEN_WORK = """
SELECT source_key AS key, source_lender AS lender, loan_external_id AS loan, state, reason,
       recon_source IS NOT NULL AS is_recon
FROM "CORE"."CORE_OPEN_WORK" ORDER BY 1
"""
_OUTCOMES = """
SELECT source_key AS key, loan_external_id AS loan, payment_date AS day, amount, status
FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED" ORDER BY 1
"""
_HOLDS = 'SELECT DISTINCT source_key FROM "CORE"."CORE_HOLD" WHERE decision IS NULL'
_EXCEPTIONS = """
SELECT DISTINCT source_key FROM "CORE"."CORE_EXCEPTION" WHERE closed_at IS NULL AND NOT holds
"""


def gather(play: Play, database: Database, *, restless: tuple[str, ...]) -> History:
    """The whole history of a seed that has been played; its sandbox still runs."""
    conninfo = database.urls.psycopg
    settings = play.around.settings()
    writes = [_write(row) for row in database.ask(_WRITES)]
    requests = [_request(line) for line in play.stand_in.ask("/sandbox/requests")]
    # What an operator of Fineract's undid is recorded as undone; what it finds is judged by itself.
    asyncio.run(ledger_agrees(settings, conninfo, LedgerScope(in_turn=True)))
    proofs = (
        nothing_recorded_twice(conninfo),
        nothing_unaccounted(conninfo),
    )
    return History(
        plan=play.plan,
        settle_seconds=settings.settle_seconds,
        begin_within_seconds=settings.begin_within_seconds,
        deeds=play.deeds,
        runs=play.runs,
        writes=writes,
        attempts=[_attempt(row) for row in database.ask(_ATTEMPTS)],
        requests=requests,
        ledger=[_ledger_row(row) for row in play.stand_in.ask("/sandbox/ledger")],
        open_work=[OpenWork(**row) for row in database.ask(_OPEN_WORK)],
        outcomes=[Outcome(**row) for row in database.ask(_OUTCOMES)],
        holds={row["source_key"] for row in database.ask(_HOLDS)},
        exceptions={row["source_key"] for row in database.ask(_EXCEPTIONS)},
        proofs=[finding for proof in proofs for finding in proof.findings],
        outages=play.stand_in.outages,
        restless=restless,
    )


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def _attempt(row: dict[str, Any]) -> Attempt:
    times = {name: _seconds(row[name]) for name in ("intended_at", "settled_at")}
    return Attempt(**row | times)


def _write(row: dict[str, Any]) -> Write:
    # The connection that holds a run's lock calls itself "posting <run>".
    writer = row["writer"].removeprefix("posting ")
    return Write(row["at"].timestamp(), writer, row["table"], row["old"], row["new"])


def _request(line: dict[str, Any]) -> Request:
    since_boot = time.time() - time.monotonic()
    return Request(
        id=line["id"],
        operation=line["operation"],
        loan=line["loan"] or "",
        external_id=line["externalId"],
        idempotency_key=line["idempotencyKey"],
        started=line["startedAt"] + since_boot,
        ended=line["endedAt"] + since_boot if line["endedAt"] is not None else None,
        status=line["status"],
        applied=line["applied"],
        faults=tuple(line["faults"]),
    )


def _ledger_row(row: dict[str, Any]) -> LedgerRow:
    return LedgerRow(
        external_id=row["externalId"],
        loan=row["loanExternalId"],
        amount=Decimal(row["amount"]),
        day=date.fromisoformat(row["date"]),
        reversed=row["reversed"],
    )
