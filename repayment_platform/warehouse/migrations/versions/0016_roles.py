"""What the application may do only through the owner, and what nobody may: the SQL beside this.

The grants are made by `warehouse.rights`, whenever the database is migrated.
"""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_sql_beside(__file__)
