"""What is too dear for every half hour: the data tests that read all of CORE.

What belongs here: the nightly job. What does not: the tests (`dbt_project`).
"""

import dagster as dg
from dagster_dbt import DbtCliResource

from repayment_platform.settings import load_settings
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.urls import DatabaseUrls


@dg.op(description="Runs every data test of dbt, under the dbt lock.")
def read_all_of_core(dbt_cli: DbtCliResource, warehouse: dg.ResourceParam[DatabaseUrls]) -> None:
    with dbt.dbt_session(warehouse):
        dbt_cli.cli(["test", *dbt.DATA_TESTS], target_path=load_settings().home / "dbt").wait()


@dg.job(description="All data tests, those that read all of CORE among them.")
def nightly_tests() -> None:
    read_all_of_core()


every_night = dg.ScheduleDefinition(
    name="every_night",
    job=nightly_tests,
    cron_schedule="15 2 * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Reads all of CORE while nobody waits for it.",
)
