"""The schemas, the shapes of RAW tables, and the application's own tables: the SQL beside this."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL as it stands: the driver itself takes many statements and no parameters."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - the connection is open
    driver.execute(Path(__file__).with_suffix(".sql").read_bytes())
