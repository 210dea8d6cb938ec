"""Which payments were ruled the same as another: the SQL beside this."""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql_beside(__file__)
