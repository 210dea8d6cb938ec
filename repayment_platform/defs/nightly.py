"""What is too dear for every half hour: the data tests and the proof that read all of CORE.

What belongs here: the nightly job. What does not: the tests (`dbt_project`), the proof
(`posting.proof`).
"""

import dagster as dg
from dagster_dbt import DbtCliResource

from repayment_platform.posting.proof import FINDINGS_SHOWN, nothing_unaccounted
from repayment_platform.settings import load_settings
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.urls import DatabaseUrls


@dg.op(description="Runs every data test of dbt, under the dbt lock.")
def read_all_of_core(dbt_cli: DbtCliResource, warehouse: dg.ResourceParam[DatabaseUrls]) -> None:
    with dbt.dbt_session(warehouse):
        dbt_cli.cli(["test", *dbt.DATA_TESTS], target_path=load_settings().home / "dbt").wait()


@dg.op(description="Sets all of CORE against what was posted and what is open.")
def account_for_every_payment(warehouse: dg.ResourceParam[DatabaseUrls]) -> None:
    proven = nothing_unaccounted(warehouse.psycopg)
    if not proven.holds:
        shown = "\n".join(proven.findings[:FINDINGS_SHOWN])
        raise dg.Failure(f"{len(proven.findings)} payments are not accounted for:\n{shown}")


@dg.job(description="All data tests, those that read all of CORE among them, and the full proof.")
def nightly_tests() -> None:
    read_all_of_core()
    account_for_every_payment()


every_night = dg.ScheduleDefinition(
    name="every_night",
    job=nightly_tests,
    cron_schedule="15 2 * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads all of CORE while nobody waits for it.",
)
