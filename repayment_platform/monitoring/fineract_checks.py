"""What `./run doctor` looks at in Fineract: whether it is reached and trusted, and answers.

What belongs here: each check of Fineract, with advice. What does not: the other checks (`doctor`).
None changes anything there.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from repayment_platform.fineract.client import FineractClient
from repayment_platform.fineract.contract import LookupFailed
from repayment_platform.fineract.trust import needs_tls
from repayment_platform.monitoring.check import Check, skew
from repayment_platform.posting.ledger import fineract_client
from repayment_platform.settings import Settings

DEFAULT_LOGIN = ("mifos", "password")


def fineract_checks(settings: Settings) -> Iterator[Check]:
    """Every check, one after another; where Fineract is not reached, the first one only."""
    yield from asyncio.run(_all(settings))
    yield _login(settings)


async def _all(settings: Settings) -> list[Check]:
    async with fineract_client(settings) as client:
        return [check async for check in _asked(settings, client)]


async def _asked(settings: Settings, client: FineractClient) -> AsyncIterator[Check]:
    where = "the built-in sandbox" if settings.uses_sandbox else settings.base_url
    server = await client.about()
    if isinstance(server, LookupFailed):
        advice = (
            "is Fineract up at FINERACT_BASE_URL, as seen from here, with a certificate to trust? "
            "See docs/fineract.md"
        )
        yield Check("Fineract", False, f"{where}: {server.why}", advice)
        return
    version = f"version {server.version}" if server.version else "version not told"
    yield Check("Fineract", True, f"{where}, {version}")
    yield skew("clock of Fineract", server.clock)
    yield await _look_up(client)


async def _look_up(client: FineractClient) -> Check:
    """A transaction that cannot be there is looked up on a loan that cannot be there."""
    nowhere = f"doctor-{uuid.uuid4()}"
    answer = await client.find_transaction(nowhere, nowhere)
    failed = isinstance(answer, LookupFailed)
    seen = answer.why if isinstance(answer, LookupFailed) else "a look-up was answered"
    advice = "see FINERACT_USERNAME, FINERACT_PASSWORD, FINERACT_TENANT and the user's permissions"
    return Check("Fineract's look-up", not failed, seen, advice)


def _login(settings: Settings) -> Check:
    own = (settings.fineract_username, settings.fineract_password.get_secret_value())
    here = not needs_tls(urlsplit(settings.base_url).hostname or "")
    right = own != DEFAULT_LOGIN or settings.uses_sandbox or here
    seen = "of its own" if own != DEFAULT_LOGIN else "Fineract's default, which everybody knows"
    return Check("Fineract's login", right, seen, "make a user for the platform, with a password")
