"""What each role of the database may do.

What belongs here: granting it, whenever the owner migrates. What does not: making the roles
(`docs/deployment.md`; for the embedded server `embedded`), what is done with them.

Three roles: the owner, of whatever name, migrates. The application adds to RAW, to the audit log
and to what was posted, and never takes away; what dbt and Dagster make is its own. The reader reads
all but users and sessions. Where a role is missing, one does everything, as it did before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from psycopg import Connection, sql

from repayment_platform.warehouse.urls import DAGSTER_SCHEMA

APPLICATION, READER = "repayment_application", "repayment_reader"
ONLY_ADDED_TO = ("CORE_AUDIT_LOG",)
NEVER_DELETED = (
    "CORE_POSTING_ATTEMPT",
    "CORE_EXCEPTION",
    "CORE_FILE_LOG",
    "CORE_HOLD",
    "CORE_LEDGER_IDENTITY",
    "CORE_LOAN_MAPPING",
    "CORE_PAYMENT_KEY",
    "CORE_QUARANTINE",
    "CORE_RECON_REQUEST",
    "CORE_RECON_REQUEST_ITEM",
    "CORE_TRANSACTION_DATA_PROCESSED",
    "CORE_USER",
)
SETTLING = (
    "run_id",
    "outcome",
    "settled_by",
    "settled_at",
    "http_status",
    "error_code",
    "error_text",
    "resource_id",
    "undone_at",
)
"""Columns of CORE_POSTING_ATTEMPT that say what came of it, and which run may say so."""
SECRET = ("CORE_USER", "CORE_SESSION")
"""Not for the reader."""
_DBT = Path(__file__).parents[2] / "dbt_project" / "models"
_GENERATED = ("CORE_OBSERVATION", "CORE_SOURCE")
"""Models whose files a fresh clone makes only when something runs, after it may have restored."""
_OF_DBT = ("assign_payment_keys", "candidates_of")
"""Functions that dbt makes."""

_ROLES = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = '"CORE"'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname <> ALL (%s)
"""
_OWN = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relowner <> to_regrole(%(role)s)
  AND (c.relnamespace IN (to_regnamespace('"BASE"'), to_regnamespace(%(dagster)s))
       OR c.relnamespace = '"CORE"'::regnamespace AND c.relname = ANY (%(models)s))
"""
_OWN_FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = '"CORE"'::regnamespace
  AND p.proname = ANY (%s) AND p.proowner <> to_regrole(%s)
"""


_TOO_MUCH = """
SELECT 'change ' || c.oid::regclass FROM pg_class c
WHERE c.relkind = 'r' AND c.relname !~ '^_'
  AND (c.relnamespace = '"RAW"'::regnamespace
       OR c.relnamespace = '"CORE"'::regnamespace AND c.relname = ANY (%(only_added_to)s))
  AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
UNION ALL
SELECT 'delete from ' || c.oid::regclass FROM pg_class c
WHERE c.relnamespace = '"CORE"'::regnamespace AND c.relname = ANY (%(never_deleted)s)
  AND has_table_privilege(c.oid, 'DELETE, TRUNCATE')
ORDER BY 1
"""
_TOO_LITTLE = """
SELECT 'add to ' || c.oid::regclass FROM pg_class c
WHERE c.relnamespace = '"RAW"'::regnamespace AND c.relkind = 'r' AND c.relname !~ '^_'
  AND NOT has_table_privilege(c.oid, 'INSERT')
UNION ALL
SELECT 'make relations in ' || nspname FROM pg_namespace
WHERE nspname IN ('BASE', 'CORE', 'dagster') AND NOT has_schema_privilege(oid, 'CREATE')
UNION ALL
SELECT 'build ' || c.oid::regclass FROM pg_class c
WHERE c.relnamespace IN ('"BASE"'::regnamespace, '"CORE"'::regnamespace)
  AND c.relname = ANY (%(models)s) AND NOT pg_has_role(c.relowner, 'USAGE')
ORDER BY 1
"""


def too_much(connection: Connection[Any]) -> list[str]:
    """What the role of this connection may do that the application should not."""
    names = {"only_added_to": list(ONLY_ADDED_TO), "never_deleted": list(NEVER_DELETED)}
    return [what for (what,) in connection.execute(_TOO_MUCH, names)]


def too_little(connection: Connection[Any]) -> list[str]:
    """What the application needs and the role of this connection may not do."""
    return [what for (what,) in connection.execute(_TOO_LITTLE, {"models": _models()})]


def grant_rights(connection: Connection[Any]) -> None:
    """Give each role that there is what it may do, and take what it may not. For the owner."""
    there = {name for (name,) in connection.execute(_ROLES, ([APPLICATION, READER],))}
    if APPLICATION in there:
        for statement in _application(connection):
            connection.execute(statement)
    if READER in there:
        for statement in _reader(connection):
            connection.execute(statement)


def _application(connection: Connection[Any]) -> Iterator[sql.Composed]:
    models = _models()
    for schema in ("BASE", "CORE", DAGSTER_SCHEMA):
        yield _for(APPLICATION, "GRANT USAGE, CREATE ON SCHEMA {of} TO {role}", schema)
    yield _for(APPLICATION, "GRANT USAGE ON SCHEMA {of} TO {role}", "RAW")
    yield _for(APPLICATION, "REVOKE ALL ON ALL TABLES IN SCHEMA {of} FROM {role}", "RAW")
    yield _for(APPLICATION, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {of} TO {role}", "RAW")
    for schema, rights in (("RAW", "USAGE"), ("CORE", "USAGE, SELECT")):
        statement = f"GRANT {rights} ON ALL SEQUENCES IN SCHEMA {{of}} TO {{role}}"
        yield _for(APPLICATION, statement, schema)
    yield _for(APPLICATION, "GRANT SELECT ON {of} TO {role}", "public", "alembic_version")
    for (table,) in connection.execute(_TABLES, (models,)).fetchall():
        yield _for(APPLICATION, "REVOKE ALL ON {of} FROM {role}", "CORE", table)
        yield _for(APPLICATION, f"GRANT {_rights_on(table)} ON {{of}} TO {{role}}", "CORE", table)
    for function in ("advance_raw_cut(text)", "analyze_raw(text)"):
        yield sql.SQL('GRANT EXECUTE ON FUNCTION "CORE".{} TO {}').format(
            sql.SQL(function),
            sql.Identifier(APPLICATION),
        )
    facts = {"role": APPLICATION, "dagster": DAGSTER_SCHEMA, "models": models}
    for (name,) in connection.execute(_OWN, facts).fetchall():
        yield _owned("ALTER TABLE", name)
    for (name,) in connection.execute(_OWN_FUNCTIONS, (list(_OF_DBT), APPLICATION)).fetchall():
        yield _owned("ALTER FUNCTION", name)


def _models() -> list[str]:
    return sorted({path.stem.upper() for path in _DBT.rglob("*.sql")} | set(_GENERATED))


def _rights_on(table: str) -> str:
    if table in ONLY_ADDED_TO:
        return "SELECT, INSERT"
    if table == "CORE_RAW_CUT":
        return "SELECT, UPDATE (keyed_to)"
    if table == "CORE_POSTING_ATTEMPT":
        return f"SELECT, INSERT, UPDATE ({', '.join(SETTLING)})"
    return "SELECT, INSERT, UPDATE" + ("" if table in NEVER_DELETED else ", DELETE")


def _reader(connection: Connection[Any]) -> Iterator[sql.Composed]:
    for schema in ("RAW", "BASE", "CORE", DAGSTER_SCHEMA):
        yield _for(READER, "GRANT USAGE ON SCHEMA {of} TO {role}", schema)
        yield _for(READER, "GRANT SELECT ON ALL TABLES IN SCHEMA {of} TO {role}", schema)
    yield _for(READER, "GRANT SELECT ON {of} TO {role}", "public", "alembic_version")
    for table in SECRET:
        yield _for(READER, "REVOKE ALL ON {of} FROM {role}", "CORE", table)
    there = connection.execute(_ROLES, ([APPLICATION],)).fetchone()
    if there:  # what dbt makes from now on
        for schema in ("BASE", "CORE", DAGSTER_SCHEMA):
            yield sql.SQL(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {}"
            ).format(*map(sql.Identifier, (APPLICATION, schema, READER)))


def _for(role: str, statement: str, *of: str) -> sql.Composed:
    return sql.SQL(statement).format(of=sql.Identifier(*of), role=sql.Identifier(role))


def _owned(alter: str, name: str) -> sql.Composed:
    """`name` is quoted by PostgreSQL itself."""
    return sql.SQL(f"{alter} {name} OWNER TO {{}}").format(sql.Identifier(APPLICATION))
