"""Which Fineract this database posts to, and how the engine reaches it.

What belongs here: the ledger's identity and the making of clients from settings. What does not:
the contract itself (`fineract`).
"""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.trust import trusting
from repayment_platform.settings import Settings

Connection = AsyncConnection[Any]

# A first run at a wrong address finds no connection: nothing ties the database to that address.
_MAY_HAVE_ARRIVED = """EXISTS (
    SELECT FROM "CORE"."CORE_POSTING_ATTEMPT"
    WHERE (outcome = 'not_applied' AND error_code = 'connection') IS NOT TRUE
)"""
REMEMBERED = f'SELECT base_url, tenant FROM "CORE"."CORE_LEDGER_IDENTITY" WHERE {_MAY_HAVE_ARRIVED}'  # noqa: S608
_REMEMBER = f"""
INSERT INTO "CORE"."CORE_LEDGER_IDENTITY" AS known (base_url, tenant) VALUES (%s, %s)
ON CONFLICT (only_row) DO UPDATE
SET base_url = EXCLUDED.base_url, tenant = EXCLUDED.tenant, first_used = now()
WHERE (known.base_url, known.tenant) <> (EXCLUDED.base_url, EXCLUDED.tenant)
  AND NOT {_MAY_HAVE_ARRIVED}
"""  # noqa: S608


class WrongLedger(Exception):
    """The database has posted to one Fineract and the settings name another."""


async def check_ledger(connection: Connection, settings: Settings) -> None:
    """Refuse any ledger but the one this database has sent a repayment to.

    Raises:
        WrongLedger: naming both.
    """
    refuse_another(settings, await (await connection.execute(REMEMBERED)).fetchone())


def refuse_another(settings: Settings, remembered: Sequence[Any] | None) -> None:
    """Raise `WrongLedger` unless the settings name the ledger that is remembered, if one is."""
    asked = (settings.ledger_url, settings.fineract_tenant)
    if remembered is not None and tuple(remembered) != asked:
        url, tenant = remembered
        raise WrongLedger(
            f"this database has posted to {url} (tenant {tenant}) and must not post to "
            f"{asked[0]} (tenant {asked[1]}); set FINERACT_BASE_URL and FINERACT_TENANT back, "
            "or use another DATABASE_URL"
        )


async def remember_ledger(connection: Connection, settings: Settings) -> None:
    """Bind the database to the ledger of the settings, before the first request to it leaves."""
    await connection.execute(_REMEMBER, (settings.ledger_url, settings.fineract_tenant))
    await check_ledger(connection, settings)


def fineract_client(settings: Settings) -> FineractClient:
    """A client of the ledger of the settings, for one worker."""
    return FineractClient(
        settings.base_url,
        username=settings.fineract_username,
        password=settings.fineract_password,
        tenant=settings.fineract_tenant,
        timeout_seconds=settings.timeout_seconds,
        tls=trusting(settings.fineract_ca_file),
    )
