"""Having dbt make a payment's row of CORE anew, after a person's word on it.

What belongs here: that note. What does not: what the words mean (`decisions`, `naming`), folding
(dbt's models).
"""

from typing import Any

from psycopg import Connection

# Batch 0 is what the next run of dbt takes up.
_FOLD_AGAIN = """
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason) VALUES (%s, %s)
ON CONFLICT (source_key) DO UPDATE SET batch = 0, reason = EXCLUDED.reason
"""


def fold_again(connection: Connection[Any], key: str, why: str) -> None:
    """Have the next run of dbt make the payment's row of CORE anew."""
    connection.execute(_FOLD_AGAIN, (key, why))
