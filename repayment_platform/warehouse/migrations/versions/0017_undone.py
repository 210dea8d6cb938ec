"""A posting that the ledger shows reversed is `undone`: the SQL beside this.

What an open `ledger_reversed` told of, and what a person left as it was after it, is brought over.
"""

from repayment_platform.warehouse.migrations.run_sql import run_sql_beside

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql_beside(__file__)
