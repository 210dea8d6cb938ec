"""How a migration runs the SQL file beside it."""

from pathlib import Path

from alembic import op


def run_sql_beside(migration: str) -> None:
    """Run the file of the same name with `.sql` as it stands: the driver itself takes many
    statements and no parameters."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 - the connection is open
    driver.execute(Path(migration).with_suffix(".sql").read_bytes())
