"""Landing and what happens to a payment after it was posted: the SQL beside this."""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_beside(__file__)
