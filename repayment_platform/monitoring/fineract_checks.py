"""What `./run doctor` looks at in Fineract: whether it is reached and trusted, lets us do our work
and no more, and is set up for it.

What belongs here: each check of Fineract, with advice. What does not: the other checks (`doctor`).
None changes anything there.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import psycopg

from repayment_platform.fineract.about import Server, User
from repayment_platform.fineract.client import FineractClient, today_in_india
from repayment_platform.fineract.contract import LookupFailed
from repayment_platform.fineract.trust import needs_tls
from repayment_platform.ledger.identity import fineract_client
from repayment_platform.monitoring.check import Check, skew
from repayment_platform.posting.model import State
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls

DEFAULT_LOGIN = ("mifos", "password")
OLDEST_VERSION = (1, 9)
"""The first with look-ups by external id and with idempotency keys."""
NEEDED = {"READ_LOAN": "to look up", "REPAYMENT_LOAN": "to post", "ADJUST_LOAN": "to undo"}
PASSES = {
    "ALL_FUNCTIONS": "passes maker-checker and the lock of the close of business",
    "CHECKER_SUPER_USER": "passes maker-checker",
    "BYPASS_LOAN_WRITE_PROTECTION": "passes the lock of the close of business",
}
"""Rights that put the user above what Fineract guards its loans with."""
OTHERS_SHOWN = 3
_AWAITING = f"""
SELECT count(*) FROM "CORE"."CORE_POSTING_ATTEMPT"
WHERE settled_at IS NULL AND error_code = '{State.AWAITING_APPROVAL}'
"""  # noqa: S608 (the part is a constant)


def fineract_checks(settings: Settings, urls: DatabaseUrls) -> Iterator[Check]:
    """Every check, one after another; where Fineract is not reached, the first and the last."""
    yield from asyncio.run(_all(settings, urls))
    yield _login(settings)


async def _all(settings: Settings, urls: DatabaseUrls) -> list[Check]:
    async with fineract_client(settings) as client:
        return [check async for check in _asked(settings, urls, client)]


async def _asked(
    settings: Settings, urls: DatabaseUrls, client: FineractClient
) -> AsyncIterator[Check]:
    where = "the built-in sandbox" if settings.uses_sandbox else settings.base_url
    server = await client.about()
    if isinstance(server, LookupFailed):
        advice = (
            "is Fineract up at FINERACT_BASE_URL, as seen from here, with a certificate to trust? "
            "See docs/fineract.md"
        )
        yield Check("Fineract", False, f"{where}: {server.why}", advice)
        return
    yield _version(where, server)
    yield skew("clock of Fineract", server.clock)
    yield await _look_up(client)
    user = await client.who_am_i()
    yield _rights(user)
    if isinstance(user, LookupFailed) or user.must_renew_password:
        return
    yield _too_many_rights(user)
    yield await _maker_checker(client, user, _awaiting(urls))
    yield await _business_date(client, user)


def _version(where: str, server: Server) -> Check:
    if server.version is None:
        return Check("Fineract", True, f"{where}, version not told")
    numbers = re.match(r"(\d+)\.(\d+)", server.version)
    right = numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST_VERSION
    advice = "1.9 is the oldest that can be posted to exactly once: upgrade it"
    return Check("Fineract", right, f"{where}, version {server.version}", advice)


async def _look_up(client: FineractClient) -> Check:
    """A transaction that cannot be there is looked up on a loan that cannot be there."""
    nowhere = f"doctor-{uuid.uuid4()}"
    answer = await client.find_transaction(nowhere, nowhere)
    failed = isinstance(answer, LookupFailed)
    seen = answer.why if isinstance(answer, LookupFailed) else "a look-up was answered"
    advice = "see FINERACT_USERNAME, FINERACT_PASSWORD, FINERACT_TENANT and the user's permissions"
    return Check("Fineract's look-up", not failed, seen, advice)


def _rights(user: User | LookupFailed) -> Check:
    name = "rights in Fineract"
    if isinstance(user, LookupFailed):
        return Check(name, False, f"not told: {user.why}", "see the user of FINERACT_USERNAME")
    if user.must_renew_password:
        advice = f"renew it in Fineract, and let the password of {user.name} never expire"
        return Check(name, False, "the password has expired", advice)
    missing = [f"{right} ({why})" for right, why in NEEDED.items() if not user.may(right)]
    if missing:
        advice = f"add it to a role of {user.name}, see docs/fineract.md"
        return Check(name, False, f"missing: {', '.join(missing)}", advice)
    return Check(name, True, f"{user.name} may look up, post and undo")


def _too_many_rights(user: User) -> Check:
    """Reading more than is needed harms nobody."""
    name = "no more rights than needed"
    more = sorted(r for r in user.rights - NEEDED.keys() if not r.startswith("READ_"))
    more = [right for right in more if right != "ALL_FUNCTIONS_READ"]
    told = [f"{right} {PASSES[right]}" for right in more if right in PASSES]
    others = [right for right in more if right not in PASSES]
    told += others[:OTHERS_SHOWN]
    if len(others) > OTHERS_SHOWN:
        told.append(f"and {len(others) - OTHERS_SHOWN} more")
    advice = f"give {user.name} a role of its own with {', '.join(NEEDED)}, see docs/fineract.md"
    return Check(name, not more, ", ".join(told) or "none", advice)


async def _maker_checker(client: FineractClient, user: User, awaiting: int) -> Check:
    """Whether repayments wait for a second person there, as it is set and as we have met it."""
    name = "maker-checker"
    advice = "switch it off for REPAYMENT_LOAN: a run ends at the first repayment that it takes"
    if awaiting:
        return Check(name, False, f"{awaiting} of our repayments await approval", advice)
    if not (user.may("READ_CONFIGURATION") and user.may("READ_PERMISSION")):
        told = f"not told: {user.name} lacks READ_CONFIGURATION or READ_PERMISSION"
        return Check(name, True, told)
    on = await client.is_on("maker-checker")
    checked = await client.what_is_checked()
    if isinstance(on, LookupFailed) or isinstance(checked, LookupFailed):
        why = next(a.why for a in (on, checked) if isinstance(a, LookupFailed))
        return Check(name, False, f"not told: {why}", "is this Fineract whole?")
    on = on and "REPAYMENT_LOAN" in checked
    return Check(name, not on, f"{'on' if on else 'off'} for REPAYMENT_LOAN", advice)


async def _business_date(client: FineractClient, user: User) -> Check:
    name = "business date"
    if not (user.may("READ_CONFIGURATION") and user.may("READ_BUSINESS_DATE")):
        told = f"not told: {user.name} lacks READ_CONFIGURATION or READ_BUSINESS_DATE"
        return Check(name, True, told)
    own = await client.is_on("enable-business-date")
    if own is False:
        return Check(name, True, "Fineract goes by the calendar")
    day = await client.business_date() if own is True else own
    if isinstance(day, LookupFailed):
        return Check(name, False, f"not told: {day.why}", "is this Fineract whole?")
    behind = (today_in_india() - day).days
    if behind <= 0:
        return Check(name, True, str(day))
    advice = "see to Fineract's jobs that move it: what was paid later waits for it"
    return Check(name, False, f"{day}, days behind: {behind}", advice)


def _awaiting(urls: DatabaseUrls) -> int:
    """How many of our repayments await approval; 0 where the database cannot say, which is told
    by its own check."""
    try:
        with psycopg.connect(urls.psycopg, autocommit=True, connect_timeout=10) as connection:
            row = connection.execute(_AWAITING).fetchone()
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
        return 0
    return int(row[0]) if row else 0


def _login(settings: Settings) -> Check:
    own = (settings.fineract_username, settings.fineract_password.get_secret_value())
    here = not needs_tls(urlsplit(settings.base_url).hostname or "")
    right = own != DEFAULT_LOGIN or settings.uses_sandbox or here
    seen = "of its own" if own != DEFAULT_LOGIN else "Fineract's default, which everybody knows"
    return Check("Fineract's login", right, seen, "make a user for the platform, with a password")
