"""What the ledger shows reversed is undone, and what stands there again is posted.

What belongs here: the one change of the record that follows from such a look, and the questions
that it opens and closes. What does not: finding it out (`ledger.differences`), posting it again
(`reposting`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from repayment_platform.exceptions.comparison import OF_KEYS, parameters
from repayment_platform.exceptions.kinds import AFTER_POSTING, UNDONE
from repayment_platform.ledger.differences import Posting, Reversal
from repayment_platform.warehouse.statements import statement

_UNDO = statement(__file__, "undo.sql")
_STAND_AGAIN = statement(__file__, "stand_again.sql")
_CLOSE = """
UPDATE "CORE"."CORE_EXCEPTION"
SET decision = 'undone', closed_by = 'look-up', closed_why = 'it was undone in Fineract'
WHERE closed_at IS NULL AND source_key = ANY (%s) AND kind = ANY (%s)
"""


async def keep_reversed(
    connection: AsyncConnection[Any], reversals: Sequence[Reversal]
) -> list[Reversal]:
    """Record as undone what the ledger shows reversed, and close what asked to undo it; returns
    those about which a person is asked now. Call it in a transaction."""
    found = [
        _named(each.posting) | {"transaction": each.transaction, "what": each.what}
        for each in reversals
    ]
    keys = await _change(connection, _UNDO, found)
    await connection.execute(_CLOSE, (keys, list(AFTER_POSTING)))
    asked = await _compare(connection, keys)
    return [each for each in reversals if (each.posting.key, UNDONE) in asked]


async def keep_standing(
    connection: AsyncConnection[Any], postings: Sequence[Posting]
) -> list[Posting]:
    """Record as posted what was undone and stands in the ledger; returns those of which that could
    not be: their reference is posted under another key. Call it in a transaction."""
    keys = await _change(connection, _STAND_AGAIN, [_named(each) for each in postings])
    await _compare(connection, keys)
    return [each for each in postings if each.key not in keys]


def _named(posting: Posting) -> dict[str, Any]:
    read_at: datetime = posting.read_at
    return {
        "source_key": posting.key,
        "external_id": posting.external_id,
        "read_at": read_at.isoformat(),
    }


async def _change(
    connection: AsyncConnection[Any], change: LiteralString, found: Sequence[dict[str, Any]]
) -> list[str]:
    if not found:
        return []
    cursor = await connection.execute(change, {"found": Jsonb(found)})
    return [key for (key,) in await cursor.fetchall()]


async def _compare(connection: AsyncConnection[Any], keys: Collection[str]) -> set[tuple[str, str]]:
    """What is open of these payments, by key and kind."""
    if not keys:
        return set()
    cursor = await connection.execute(OF_KEYS, parameters(keys=list(keys)))
    return set(await cursor.fetchall())
