"""How alembic runs our migrations: on the connection, and in the transaction, of `migrate`.

What belongs here: alembic's own wiring. What does not: locking and what is made beside the
migrations (`warehouse.migrate`).
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="public",
)
with context.begin_transaction():
    context.run_migrations()
