"""How many requests the latest posting run had under way at once: the SQL beside this."""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql_beside(__file__)
