"""The dbt project: what is generated from the registry, its manifest, and running it.

What belongs here: sources and the union of all BASE views written from the registry, a fresh
manifest, and a dbt process under the dbt lock. What does not: the models and macros
(`dbt_project`), the lock and the cuts themselves (`raw_cut`).

The generated files and the manifest are made when they are older than what they are made from;
otherwise `prepare` costs a few file look-ups.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from repayment_platform.sources.registry import LENDERS, SOURCES, Source
from repayment_platform.warehouse.raw_cut import advance_cuts, dbt_lock
from repayment_platform.warehouse.urls import DatabaseUrls

PROJECT = Path(__file__).parents[2] / "dbt_project"
MANIFEST = PROJECT / "target" / "manifest.json"
EXECUTABLE = Path(sys.executable).with_name("dbt")
_PLACES = ("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT))

BUILD = ("build", "--exclude-resource-types", "unit_test", "--exclude", "tag:nightly")
"""What a half-hourly run does; unit tests and full data tests cost more than they find there."""
NIGHTLY = ("test", "--select", "tag:nightly")
"""The data tests that read all of CORE."""

APPLICATION_TABLES = {
    "CORE_PAYMENT_KEY": "Which payment each observation belongs to. Append-only.",
    "CORE_REFOLD": "Keys whose row is to be computed again though nothing new was observed.",
    "CORE_LOAN_MAPPING": "An operator's word on which loan a payment without one belongs to.",
    "CORE_RAW_CUT": "Up to which id each RAW table is complete, and keyed.",
    "CORE_HOLD": "Payments that wait for a person's decision.",
}


class DbtFailed(RuntimeError):
    """dbt could not read the project; the message holds what it said."""


def prepare() -> Path:
    """Bring the generated files and the manifest up to date; returns the manifest's path.

    Needs no database. Safe when several processes do it at once: the second waits.

    Raises:
        DbtFailed: the project does not parse.
    """
    MANIFEST.parent.mkdir(exist_ok=True)
    with (MANIFEST.parent / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path, text in _generated().items():
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
        if _manifest_is_stale():
            _parse()
    return MANIFEST


@contextmanager
def dbt_session(urls: DatabaseUrls) -> Iterator[dict[str, str]]:
    """Hold the dbt lock, with the RAW cuts advanced; yields the environment of a dbt process.

    A second session, in any process, waits for the first.
    """
    with dbt_lock(urls):
        advance_cuts(urls)
        yield {**os.environ, **urls.dbt_env}


def run_dbt(urls: DatabaseUrls, args: Sequence[str]) -> int:
    """Run one dbt command under the lock; returns its exit code. Its output is not captured.

    It writes its artifacts to a folder of its own: others may be reading the manifest.
    """
    prepare()
    target = ("--target-path", str(MANIFEST.parent / "cli"))
    with dbt_session(urls) as env:
        command = [EXECUTABLE, *args, *_PLACES, *target]
        return subprocess.run(command, env=env, check=False).returncode


def _manifest_is_stale() -> bool:
    if not MANIFEST.exists():
        return True
    ignored = (MANIFEST.parent, PROJECT / "logs")
    made = MANIFEST.stat().st_mtime
    return any(
        path.stat().st_mtime >= made
        for path in PROJECT.rglob("*.*")
        if path.suffix in (".sql", ".yml") and not any(path.is_relative_to(i) for i in ignored)
    )


def _parse() -> None:
    command = [EXECUTABLE, "--no-use-colors", "parse", *_PLACES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DbtFailed(f"dbt parse failed:\n{done.stdout}{done.stderr}")


def _generated() -> dict[Path, str]:
    folder = PROJECT / "models" / "generated"
    return {
        folder / "sources.yml": json.dumps(_sources(), indent=2),  # JSON is YAML
        folder / "core_observation.sql": _observation(),
        folder / "core_match_group.sql": _match_group(),
    }


def _sources() -> dict[str, Any]:
    quoted = {"schema": True, "identifier": True}
    raw = [
        {
            "name": source.table,
            "description": f"{source.reports} of {LENDERS[source.lender].name}, as sent.",
            "config": {"meta": _meta(source)},
        }
        for source in SOURCES.values()
    ]
    core = [{"name": name, "description": text} for name, text in APPLICATION_TABLES.items()]
    return {
        "sources": [
            {"name": "RAW", "schema": "RAW", "quoting": quoted, "tables": raw},
            {"name": "CORE", "schema": "CORE", "quoting": quoted, "tables": core},
        ]
    }


def _meta(source: Source) -> dict[str, Any]:
    lender = LENDERS[source.lender]
    facts = ("lender", "kind", "reports", "unit", "ref_namespace", "loan_id_in")
    meta = {name: value for name, value in asdict(source).items() if name in facts}
    return {**meta, "loan_id_pattern": lender.loan_id_pattern, "posting": lender.posting}


def _observation() -> str:
    """A union that PostgreSQL can look into: every branch keeps its RAW table's primary key."""
    models = [source.table.lower().replace("raw_", "base_", 1) for source in SOURCES.values()]
    return (
        "\nUNION ALL\n".join(f"SELECT * FROM {{{{ ref('{model}') }}}}" for model in models) + "\n"
    )


def _match_group() -> str:
    rows = ",\n".join(
        f"    ('{source.table}', '{source.match_group}', {source.match_days})"
        for source in SOURCES.values()
        if source.match_group
    )
    return (
        "SELECT raw_table::text, match_group::text, match_days::integer\n"
        f"FROM (VALUES\n{rows}\n) declared (raw_table, match_group, match_days)\n"
    )
