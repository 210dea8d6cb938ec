"""The PostgreSQL behind everything: where it is, how it starts, what tables it holds.

What belongs here: connections, the embedded server, migrations, running dbt. What does not:
any rule about payments, and Dagster.
"""


class WarehouseUnavailable(RuntimeError):
    """The database cannot be used; the message is one line that says why and what to do."""
