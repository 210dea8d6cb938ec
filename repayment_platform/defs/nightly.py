"""What is too dear for every half hour: the data tests and proofs that read all of history.

What belongs here: the nightly job. What does not: the tests (`dbt_project`), the proofs
(`posting.proof`, `exceptions.ledger_proof`).
"""

import asyncio

import dagster as dg
from dagster_dbt import DbtCliResource

from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.silence import nothing_silent
from repayment_platform.ledger.findings import FINDINGS_SHOWN, Proof
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting.proof import nothing_unaccounted
from repayment_platform.settings import Settings, load_settings
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.urls import DatabaseUrls


@dg.op(description="Runs every data test of dbt, under the dbt lock.")
def read_all_of_core(dbt_cli: DbtCliResource, warehouse: dg.ResourceParam[DatabaseUrls]) -> None:
    with dbt.dbt_session(warehouse) as session:
        target = load_settings().home / "dbt"
        invocation = dbt_cli.cli(["test", *dbt.DATA_TESTS], target_path=target)
        with session.resting(invocation.process):
            invocation.wait()


@dg.op(description="Sets all of CORE against what was posted and what is open.")
def account_for_every_payment(warehouse: dg.ResourceParam[DatabaseUrls]) -> None:
    _fail_on(nothing_unaccounted(warehouse.psycopg), "payments are not accounted for")


@dg.op(description="Looks for reports without a payment, and for questions that nobody is asked.")
def leave_nothing_silent(warehouse: dg.ResourceParam[DatabaseUrls]) -> None:
    _fail_on(nothing_silent(warehouse.psycopg), "things that nobody is told of")


@dg.op(description="Asks Fineract about the loans that it was longest not asked about.")
def compare_the_ledger_in_turn(
    warehouse: dg.ResourceParam[DatabaseUrls], fineract: dg.ResourceParam[Settings]
) -> None:
    in_turn = LedgerScope(in_turn=True)
    proven = asyncio.run(ledger_agrees(fineract, warehouse.psycopg, in_turn))
    _fail_on(proven, "differences from the ledger")


def _fail_on(proven: Proof, wrong: str) -> None:
    if not proven.holds:
        shown = "\n".join(proven.findings[:FINDINGS_SHOWN])
        raise dg.Failure(f"{len(proven.findings)} {wrong}:\n{shown}")


@dg.job(description="All data tests, those that read all of CORE among them, and the full proofs.")
def nightly_tests() -> None:
    read_all_of_core()
    account_for_every_payment()
    leave_nothing_silent()
    compare_the_ledger_in_turn()


every_night = dg.ScheduleDefinition(
    name="every_night",
    job=nightly_tests,
    cron_schedule="15 2 * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads all of CORE while nobody waits for it.",
)
