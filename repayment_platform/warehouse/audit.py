"""The audit log: who did what to what, and why.

What belongs here: writing a row of it. What does not: reading it, and deciding who may act. The
database refuses to change or remove a row (migration 0004).
"""

import json
from functools import partial
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

_INSERT = """
INSERT INTO "CORE"."CORE_AUDIT_LOG" (who, action, subject, detail)
VALUES (%s, %s, %s, %s)
"""
# Amounts, dates and times are kept as text: a float would lose paise.
_dumps = partial(json.dumps, default=str)


def record(
    connection: Connection[Any], who: str, action: str, subject: str | None, **detail: Any
) -> None:
    """Add a row; in the transaction of the act itself, so that neither stands without the other.

    `action` is `thing.verb` (`hold.release`), `subject` what it was done to: a source_key, a
    lender, `request 12`. Never put a secret into `detail`.
    """
    connection.execute(_INSERT, (who, action, subject, Jsonb(detail, dumps=_dumps)))
