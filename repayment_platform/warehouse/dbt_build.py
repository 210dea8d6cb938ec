"""Whether a dbt build would find anything to do.

What belongs here: the record of the last complete build, and what has come since. What does not:
running dbt (`dbt`), moving the cuts (`raw_cut`). Call these under the dbt lock, with the cuts
advanced.

dbt reads what is new by batches of payment keys. A batch begins when rows below a cut have no key
yet, or when an operator's decision asks for a payment to be computed again; the models hold no
clock. So without either, and with the same project, a build would change nothing.
"""

import hashlib
from pathlib import Path

import psycopg

from repayment_platform.warehouse.urls import DatabaseUrls

_NOTHING_NEW = """
SELECT EXISTS (SELECT FROM "CORE"."CORE_DBT_BUILD" b
               WHERE b.project = %s AND b.batch = (SELECT last_value FROM "CORE".key_batch))
   AND NOT EXISTS (SELECT FROM "CORE"."CORE_RAW_CUT" WHERE cut_id > keyed_to)
   AND NOT EXISTS (SELECT FROM "CORE"."CORE_REFOLD" WHERE batch = 0)
"""
_REMEMBER = """
INSERT INTO "CORE"."CORE_DBT_BUILD" (project, batch)
SELECT %s, last_value FROM "CORE".key_batch
ON CONFLICT ((true)) DO UPDATE
SET project = EXCLUDED.project, batch = EXCLUDED.batch, built_at = now()
"""


def nothing_new(urls: DatabaseUrls, project: Path) -> bool:
    """Whether the last complete build of this dbt project still holds all there is."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        row = connection.execute(_NOTHING_NEW, (_digest(project),)).fetchone()
    return bool(row and row[0])


def forget_build(urls: DatabaseUrls) -> None:
    """Before dbt is started: until a build is complete, nobody may rely on an earlier one."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute('DELETE FROM "CORE"."CORE_DBT_BUILD"')


def remember_build(urls: DatabaseUrls, project: Path) -> None:
    """After a build of the whole project has succeeded, in the same session of the dbt lock."""
    with psycopg.connect(urls.psycopg, autocommit=True) as connection:
        connection.execute(_REMEMBER, (_digest(project),))


def _digest(project: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        inside = path.relative_to(project)
        if inside.parts[0] not in ("target", "logs") and path.suffix in (".sql", ".yml", ".csv"):
            digest.update(f"{inside}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
