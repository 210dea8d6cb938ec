"""One table of all that a person must judge; CORE_HOLD is a view of it: the SQL beside this."""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql_beside(__file__)
