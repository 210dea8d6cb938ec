"""The schemas, the shapes of RAW tables, and the application's own tables: the SQL beside this."""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_beside(__file__)
