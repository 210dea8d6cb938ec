"""How the deliveries of a webhook reach their RAW table.

What belongs here: what identifies a delivery, which of its headers are kept, reading its body
as JSON, and the transaction that lands it. What does not: HTTP, signatures (a delivery comes
here only when its signature was right), and what the event means, which dbt reads from the
payload.

A delivery with a right signature is never refused for what it says: the bytes land as sent,
and a body that is not JSON, or JSON that PostgreSQL cannot store, lands without a payload and
is quarantined with the reason.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, LiteralString

from psycopg import AsyncConnection, AsyncCursor, DataError, errors, sql
from psycopg.types.json import Jsonb

from repayment_platform.sources.registry import Kind

log = logging.getLogger(__name__)

EVENT_ID_HEADER = {Kind.RAZORPAY: "x-razorpay-event-id", Kind.CASHFREE: "x-idempotency-key"}
EVENT_TYPE_KEY = {Kind.RAZORPAY: "event", Kind.CASHFREE: "type"}
KEPT_HEADERS = (
    "content-type",
    "user-agent",
    "x-razorpay-event-id",
    "x-razorpay-signature",
    "x-idempotency-key",
    "x-webhook-attempt",
    "x-webhook-signature",
    "x-webhook-timestamp",
    "x-webhook-version",
)
"""Evidence of the delivery. Cookies, credentials and addresses are not among them."""
LONGEST_NAME = 200
"""Characters of an event's id or type; nothing a provider sends comes near, an index would."""

UNSTORABLE = (DataError, errors.ProgramLimitExceeded, errors.StatementTooComplex)
"""What PostgreSQL raises for JSON that it cannot hold: NUL, half a surrogate, `1e999999`."""


class FaultCode(StrEnum):
    """Why a delivery has no payload; the reason codes of webhooks in CORE_QUARANTINE."""

    NOT_UTF8 = "NOT_UTF8"
    NOT_JSON = "NOT_JSON"
    NOT_AN_OBJECT = "NOT_AN_OBJECT"
    UNSTORABLE_JSON = "UNSTORABLE_JSON"


@dataclass(frozen=True)
class Fault:
    code: FaultCode
    reason: str
    """Says where and why, quotes nothing of the body."""


@dataclass(frozen=True)
class Delivery:
    """One signed delivery as it will stand in RAW."""

    event_id: str
    event_type: str | None
    body: bytes
    headers: Mapping[str, str]
    signed_by: int
    fault: Fault | None = None
    """Set when the body is not the JSON object that it should be."""


def read_delivery(
    kind: Kind, headers: Mapping[str, str], body: bytes, *, signed_by: int
) -> Delivery:
    """The delivery of a body whose signature was right.

    Its id is the provider's. Where the provider sends none (Cashfree before 2025-01-01), the
    hash of the body stands in: attempts of one delivery have the same bytes, and two events
    differ in at least their payment, type or event time.
    """
    event_id = headers.get(EVENT_ID_HEADER[kind], "")
    if not 0 < len(event_id) <= LONGEST_NAME:
        event_id = f"sha256:{sha256(body).hexdigest()}"
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    event = _parse(body)
    if isinstance(event, Fault):
        return Delivery(event_id, None, body, kept, signed_by, event)
    return Delivery(event_id, _name(event.get(EVENT_TYPE_KEY[kind])), body, kept, signed_by)


def _parse(body: bytes) -> dict[str, Any] | Fault:
    try:
        event = json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        return Fault(FaultCode.NOT_UTF8, f"byte {error.start} is not UTF-8")
    except json.JSONDecodeError as error:
        return Fault(FaultCode.NOT_JSON, f"{error.msg} at character {error.pos}")
    except ValueError as error:  # an integer of more digits than Python reads
        return Fault(FaultCode.UNSTORABLE_JSON, str(error))
    except RecursionError:
        return Fault(FaultCode.UNSTORABLE_JSON, "nested too deeply")
    if not isinstance(event, dict):
        return Fault(FaultCode.NOT_AN_OBJECT, f"JSON, but {type(event).__name__} and no object")
    return event


def _refuse_constant(name: str) -> None:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


def _name(value: object) -> str | None:
    if isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_NAME:
        return value
    return None


async def land(
    connection: AsyncConnection[Any], table: str, deliveries: Sequence[Delivery]
) -> list[bool]:
    """Land deliveries of one RAW table in one transaction; returns after its commit.

    Returns:
        For each delivery, in order: whether it is new. A repeat lands nothing.

    Raises:
        psycopg.Error: none has landed, or (when the connection breaks during the commit) all
            may have. Landing them again is safe either way.
    """
    try:
        return await _commit(connection, table, deliveries)
    except UNSTORABLE:
        return [await _land_alone(connection, table, delivery) for delivery in deliveries]


async def _land_alone(connection: AsyncConnection[Any], table: str, delivery: Delivery) -> bool:
    """Land one delivery, without a payload if PostgreSQL cannot store that."""
    try:
        [new] = await _commit(connection, table, [delivery])
    except UNSTORABLE as error:
        reason = error.diag.message_primary or type(error).__name__
        fault = Fault(FaultCode.UNSTORABLE_JSON, reason)
        [new] = await _commit(connection, table, [replace(delivery, fault=fault)])
    return new


async def _commit(
    connection: AsyncConnection[Any], table: str, deliveries: Sequence[Delivery]
) -> list[bool]:
    async with connection.transaction(), connection.cursor() as cursor:
        landed = await _insert(cursor, _INSERT, table, deliveries)
        if None in landed:
            known = [d for d, row in zip(deliveries, landed, strict=True) if row is None]
            others = iter(await _insert(cursor, _INSERT_OTHER_BODY, table, known))
            landed = [row or next(others) for row in landed]
        for delivery, event_id in zip(deliveries, landed, strict=True):
            if delivery.fault and event_id:
                await _quarantine(cursor, table, event_id, delivery.body, delivery.fault)
    return [event_id is not None for event_id in landed]


async def _insert(
    cursor: AsyncCursor[Any], statement: LiteralString, table: str, deliveries: Sequence[Delivery]
) -> list[str | None]:
    """Insert each delivery; for each, the event id of its row, or None where it became none."""
    rows = [
        {
            "event_id": delivery.event_id,
            "event_type": delivery.event_type,
            "body": delivery.body,
            "payload": None if delivery.fault else delivery.body.decode(),
            "headers": Jsonb(delivery.headers),
            "signed_by": delivery.signed_by,
        }
        for delivery in deliveries
    ]
    query = sql.SQL(statement).format(table=sql.Identifier("RAW", table))
    await cursor.executemany(query, rows, returning=True)
    return [row[0] if (row := await one.fetchone()) else None async for one in cursor.results()]


_INSERT: LiteralString = """
    INSERT INTO {table} (event_id, event_type, body, payload, headers, signed_by)
    VALUES (
        %(event_id)s, %(event_type)s, %(body)s, %(payload)s::jsonb, %(headers)s, %(signed_by)s
    )
    ON CONFLICT (event_id) WHERE replaces_id IS NULL DO NOTHING
    RETURNING event_id
"""

# The id of an event stands in a header, which no signature covers. So an id that is known with
# another body is another event, and lands under an id of its own instead of being lost.
_INSERT_OTHER_BODY: LiteralString = """
    INSERT INTO {table} (event_id, event_type, body, payload, headers, signed_by)
    SELECT
        %(event_id)s::text || '#' || encode(sha256(%(body)s), 'hex'),
        %(event_type)s, %(body)s, %(payload)s::jsonb, %(headers)s, %(signed_by)s
    WHERE NOT EXISTS (
        SELECT FROM {table} AS known
        WHERE known.event_id = %(event_id)s AND known.body = %(body)s AND replaces_id IS NULL
    )
    ON CONFLICT (event_id) WHERE replaces_id IS NULL DO NOTHING
    RETURNING event_id
"""


async def _quarantine(
    cursor: AsyncCursor[Any], table: str, event_id: str, body: bytes, fault: Fault
) -> None:
    original = body.decode(errors="backslashreplace").replace("\0", "\\x00")
    await cursor.execute(
        """
        INSERT INTO "CORE"."CORE_QUARANTINE" (raw_table, event_id, reason_code, reason, original)
        VALUES (%s, %s, %s, %s, %s)
        """,
        (table, event_id, fault.code, fault.reason, original),
    )
    log.warning("%s: a delivery is in quarantine: %s", table, fault.code)
