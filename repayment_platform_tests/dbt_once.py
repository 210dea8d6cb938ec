"""dbt in tests: it runs once for a run of the suite, and what it did is played again.

What belongs here: building every model in the template, recording the statements that dbt sends for
the incremental models, and playing them. What does not: the template as a database (`databases`),
tests of dbt itself, which run it with `run_dbt_here`.

dbt takes two seconds to send what PostgreSQL answers in a tenth of one. The statements are dbt's
own: hooks, temporary table, delete and insert, in its order and in one transaction. They depend on
the database in one place, the newest batch that a table holds. For the recording that is `MARK`, a
number which nothing else has; whoever plays puts the real one in its place.
`test_what_is_played_does_what_dbt_does` compares the two.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg import sql

from repayment_platform.warehouse.dbt import PROJECT, dbt_session, prepare
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.databases import run_home

TEMPLATE = "template_with_models"
CORE = "core_transaction_data"
INCREMENTAL = (CORE, "core_settlement_lines", "core_recon_record")
"""In the order of the lineage."""
MARK = 987_654_321
Statements = dict[str, list[str]]
"""Of each model, by its name."""

_NOT_NULL = """
SELECT attname, atttypid::regtype::text FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND attnotnull AND NOT attisdropped
"""
_ANY = {"text": "x", "boolean": False, "text[]": [], "jsonb": "{}"}
_ASKS = re.compile(r'\s*(/\*.*?\*/)?\s*(COMMIT|BEGIN|select(?!\s+"CORE"\.\w+\())', re.I | re.S)
"""Changes nothing: dbt asks for columns, or for the newest batch. A hook that calls one of our
functions is no question."""


def build_and_record(urls: DatabaseUrls) -> None:
    """Build every model in the migrated database `TEMPLATE`, and record the incremental ones."""
    prepare()
    assert run_dbt_here(urls, "run").success
    recording = {how: _record(urls, *args) for how, args in _HOW.items()}
    [compiled] = run_home().glob("dbt/compiled/**/core_transaction_data.sql")
    recording["query"] = {CORE: [_unnamed(compiled.read_text())]}
    (run_home() / "models.json").write_text(json.dumps(recording))


_HOW: dict[str, tuple[str, ...]] = {"full_refresh": ("--full-refresh",), "run": ()}


def run_dbt_here(
    urls: DatabaseUrls, *args: str, callbacks: Sequence[Callable[[Any], None]] = ()
) -> Any:
    """Run dbt in this process, which takes a tenth of a process of its own.

    The first run makes the template; the others start from what it has parsed.
    """
    from dbt.cli.main import dbtRunner

    first = run_home() / "dbt"
    target = first if urls.dbname == TEMPLATE else first.with_name(f"dbt-{os.getpid()}")
    if not target.exists():
        target.mkdir()
        if target != first:
            shutil.copy(first / "partial_parse.msgpack", target)
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(target)]
    with dbt_session(urls) as session, patch.dict(os.environ, session.env):
        return dbtRunner(callbacks=list(callbacks)).invoke([*args, "--quiet", *places])


def play(urls: DatabaseUrls, *models: str, full_refresh: bool = False) -> None:
    """Do what `dbt run --select MODELS` does; all incremental models where none is named."""
    recorded = _recording()["full_refresh" if full_refresh else "run"]
    with dbt_session(urls):
        for model in models or INCREMENTAL:
            # A session for each, as with dbt: temporary tables and plans end with it.
            with psycopg.connect(urls.psycopg) as connection:
                newest = str(_newest(connection, model))
                for statement in recorded[model]:
                    connection.execute(statement.replace(str(MARK), newest).encode())


def statements(urls: DatabaseUrls) -> list[bytes]:
    """What `dbt run` sends for CORE now, for a transaction of the caller's."""
    newest = str(newest_batch(urls))
    return [each.replace(str(MARK), newest).encode() for each in _recording()["run"][CORE]]


def query_of_core(since: int = 0) -> str:
    """The query of CORE's model over the keys after batch `since`, as dbt compiles it."""
    return _recording()["query"][CORE][0].replace(str(MARK), str(since))


def compiled(urls: DatabaseUrls, query: str) -> str:
    """A query with macros in it, as SQL."""
    done = run_dbt_here(urls, "compile", "--inline", query)
    return str(done.result.results[0].node.compiled_code)


def newest_batch(urls: DatabaseUrls) -> int:
    """The newest batch that CORE holds."""
    with psycopg.connect(urls.psycopg) as connection:
        return _newest(connection, CORE)


@cache
def _recording() -> dict[str, Statements]:
    recording: dict[str, Statements] = json.loads((run_home() / "models.json").read_text())
    return recording


def _newest(connection: psycopg.Connection[Any], model: str) -> int:
    query = sql.SQL("SELECT coalesce(max(batch), 0) FROM {}").format(_table(model))
    row = connection.execute(query).fetchone()
    assert row
    return int(row[0])


def _table(model: str) -> sql.Identifier:
    return sql.Identifier("CORE", model.upper())


def _record(urls: DatabaseUrls, *args: str) -> Statements:
    """What dbt sends for each incremental model of a table whose newest batch is `MARK`."""
    sent: Statements = {model: [] for model in INCREMENTAL}

    def listen(event: Any) -> None:
        if event.info.name == "SQLQuery" and (model := event.data.node_info.node_name) in sent:
            sent[model].append(_unnamed(event.data.sql))

    with ExitStack() as emptied, psycopg.connect(urls.psycopg, autocommit=True) as connection:
        for model in INCREMENTAL:
            _mark(connection, model)
            emptied.callback(_empty, urls, model)
        ran = run_dbt_here(urls, "run", "--select", *INCREMENTAL, *args, callbacks=[listen])
        assert ran.success, ran.exception
    statements = {m: [s for s in sent[m] if not _ASKS.match(s)] for m in INCREMENTAL}
    for model, told in statements.items():
        full = "--full-refresh" in args
        assert full or any(str(MARK) in statement for statement in told), f"{model}: no batch"
    return statements


def _mark(connection: psycopg.Connection[Any], model: str) -> None:
    """A row of the batch `MARK` with any value in what must not be null."""
    must = connection.execute(_NOT_NULL, (f'"CORE"."{model.upper()}"',)).fetchall()
    now = sql.SQL("now()")
    values = {
        name: now if kind.startswith("timestamp") else sql.Literal(_ANY.get(kind, 0))
        for name, kind in must
    } | {"batch": sql.Literal(MARK)}
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            _table(model),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(values.values()),
        )
    )


def _empty(urls: DatabaseUrls, model: str) -> None:
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(_table(model)))


def _unnamed(statement: str) -> str:
    """A statement for whatever database: dbt names that of the template."""
    return statement.replace(f'"{TEMPLATE}".', "")
