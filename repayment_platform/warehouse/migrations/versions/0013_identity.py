"""What reports say that tells payments apart, kept beside their keys: the SQL beside this."""

from alembic import op
from psycopg import Connection

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside
from repayment_platform.warehouse.raw_tables import make_is_issued

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    driver = op.get_bind().connection.driver_connection
    assert isinstance(driver, Connection)  # noqa: S101 - the connection is open
    make_is_issued(driver)
    run_sql_beside(__file__)
