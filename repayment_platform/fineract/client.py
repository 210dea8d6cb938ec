"""The questions and commands that the platform puts to Fineract.

What belongs here: URLs, headers, bodies. What does not: the exchange (`wire`), what answers mean
(`replies`, `lookups`), retrying (`posting`).
"""

import json
import ssl
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from repayment_platform.fineract.about import (
    Server,
    User,
    read_business_date,
    read_checked,
    read_server,
    read_switch,
    read_user,
)
from repayment_platform.fineract.contract import (
    Listing,
    LoanLookup,
    Lookup,
    LookupFailed,
    Repayment,
    Reply,
    SystemFault,
    Unknown,
    UnknownLoan,
    Unreached,
    check_external_id,
    check_idempotency_key,
)
from repayment_platform.fineract.lookups import (
    read_listing,
    read_loan_lookup,
    read_transaction_lookup,
)
from repayment_platform.fineract.replies import NO_SUCH_PATH, is_refused_path, read_reply
from repayment_platform.fineract.trust import needs_tls
from repayment_platform.fineract.wire import (
    MAX_LISTING_BYTES,
    MAX_REPLY_BYTES,
    Answer,
    NoAnswerError,
    NothingSentError,
    NotTrustedError,
    Secret,
    Wire,
)

INDIA = timezone(timedelta(hours=5, minutes=30), "Asia/Kolkata")
"""A fixed offset: India has known no summer time since 1945."""


def today_in_india() -> date:
    """The calendar date by which Fineract's default tenant lives."""
    return datetime.now(INDIA).date()


class FineractClient:
    """Posts to and asks one Fineract tenant, over one connection: one client per worker.

    No method raises for trouble with Fineract or the network; outcomes say what is certain. Each
    call ends within `timeout_seconds`. A call that is cancelled may have posted.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        password: Secret,
        tenant: str = "default",
        *,
        timeout_seconds: float = 20.0,
        tls: ssl.SSLContext | None = None,
        today: Callable[[], date] = today_in_india,
    ) -> None:
        """`base_url` ends in `/fineract-provider/api/v1`; `tls` is shared between clients.

        Raises:
            ValueError: `base_url` is no plain http(s) URL, or http:// to another machine; or the
                tenant fits in no header.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an http(s) URL")
        if parts.scheme == "http" and needs_tls(parts.hostname):
            raise ValueError("base_url must be https://, but for this machine itself")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url must hold neither credentials nor a query")
        if not tenant or not all("!" <= character <= "~" for character in tenant):
            raise ValueError("tenant must be visible ASCII")
        self._base_url = base_url.rstrip("/")
        self._login = (username, password)
        self._tenant = tenant
        self._today = today
        headers = {"Fineract-Platform-TenantId": tenant}
        self._wire = Wire(username, password, headers, timeout_seconds, tls)

    def __repr__(self) -> str:
        return f"FineractClient({self._base_url!r}, tenant={self._tenant!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._wire.aclose()

    async def post_repayment(self, repayment: Repayment, idempotency_key: str) -> Reply:
        """Ask Fineract once to post `repayment`.

        The key must never have been used before: it is tenant-wide in Fineract, bound to no loan
        and no amount, and a used one repeats an old answer.

        Raises:
            InvalidRequestError: the key is not 1 to 50 visible ASCII characters.
        """
        check_idempotency_key(idempotency_key)
        url = f"{self._loan_url(repayment.loan_external_id)}/transactions?command=repayment"
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
        try:
            answer = await self._wire.exchange(
                "POST", url, headers=headers, content=repayment_body(repayment)
            )
        except NotTrustedError as error:
            return SystemFault("connection", str(error))
        except NothingSentError as error:
            return Unreached("connection", str(error))
        except NoAnswerError as error:
            return Unknown(str(error), server_trouble=True)
        return read_reply(answer, repayment, self._today())

    async def find_transaction(self, loan_external_id: str, external_id: str) -> Lookup:
        """Look a transaction up by its external id.

        Raises:
            InvalidRequestError: one of the ids could not be Fineract's.
        """
        check_external_id("external id", external_id)
        path = f"/transactions/external-id/{quote(external_id, safe='')}"
        answer = await self._ask_of_loan(loan_external_id, path)
        if not isinstance(answer, Answer):
            return answer
        return read_transaction_lookup(answer, external_id)

    async def get_loan(self, external_id: str) -> LoanLookup:
        """The loan and its state. Raises `InvalidRequestError` as `find_transaction` does."""
        answer = await self._ask_of_loan(external_id)
        if not isinstance(answer, Answer):
            return answer
        return read_loan_lookup(answer, external_id)

    async def list_transactions(self, loan_external_id: str) -> Listing:
        """Every transaction of a loan; raises `InvalidRequestError` as `find_transaction` does.

        Read with the loan: Fineract before 1.13 has no list of its own.
        """
        rest = "?associations=transactions"
        answer = await self._ask_of_loan(loan_external_id, rest, MAX_LISTING_BYTES)
        if not isinstance(answer, Answer):
            return answer
        return read_listing(answer, loan_external_id)

    async def about(self) -> Server | LookupFailed:
        """What answers at the address, whoever asks."""
        url = self._base_url.removesuffix("/api/v1") + "/actuator/info"
        answer = await self._ask(url)
        return answer if isinstance(answer, LookupFailed) else read_server(answer)

    async def who_am_i(self) -> User | LookupFailed:
        """Our own user and what it may do, by a log-in, which changes nothing."""
        username, password = self._login
        login = {"username": username, "password": password.get_secret_value()}
        answer = await self._ask(f"{self._base_url}/authentication", login=login)
        return answer if isinstance(answer, LookupFailed) else read_user(answer)

    async def is_on(self, switch: str) -> bool | LookupFailed:
        """One of Fineract's global configurations, such as `maker-checker`."""
        answer = await self._ask(f"{self._base_url}/configurations/name/{switch}")
        return answer if isinstance(answer, LookupFailed) else read_switch(answer)

    async def what_is_checked(self) -> frozenset[str] | LookupFailed:
        """The rights whose use waits for a second person, where maker-checker is on."""
        answer = await self._ask(
            f"{self._base_url}/permissions?makerCheckerable=true", MAX_LISTING_BYTES
        )
        return answer if isinstance(answer, LookupFailed) else read_checked(answer)

    async def business_date(self) -> date | LookupFailed:
        """Fineract's today, where it keeps one of its own."""
        answer = await self._ask(f"{self._base_url}/businessdate/BUSINESS_DATE")
        return answer if isinstance(answer, LookupFailed) else read_business_date(answer)

    def _loan_url(self, external_id: str) -> str:
        check_external_id("loan external id", external_id)
        return f"{self._base_url}/loans/external-id/{quote(external_id, safe='')}"

    async def _ask_of_loan(
        self, loan_external_id: str, rest: str = "", max_bytes: int = MAX_REPLY_BYTES
    ) -> Answer | UnknownLoan | LookupFailed:
        """Ask for a loan, or for `rest` of it."""
        answer = await self._ask(self._loan_url(loan_external_id) + rest, max_bytes)
        if isinstance(answer, Answer) and is_refused_path(answer, loan_external_id):
            return UnknownLoan(NO_SUCH_PATH)
        return answer

    async def _ask(
        self,
        url: str,
        max_bytes: int = MAX_REPLY_BYTES,
        login: Mapping[str, str] | None = None,
    ) -> Answer | LookupFailed:
        # A cache on the way must not answer for the ledger.
        headers = {"Cache-Control": "no-cache"}
        method, content = "GET", None
        if login is not None:
            headers["Content-Type"] = "application/json"
            method, content = "POST", json.dumps(login).encode()
        try:
            return await self._wire.exchange(
                method, url, headers=headers, content=content, max_bytes=max_bytes
            )
        except NotTrustedError as error:
            return LookupFailed(str(error), system_fault=True)
        except NothingSentError as error:
            return LookupFailed(str(error), server_trouble=True)
        except NoAnswerError as error:
            return LookupFailed(str(error), server_trouble=True)


def repayment_body(repayment: Repayment) -> bytes:
    """The request as JSON, with the amount as an exact number of two decimals.

    Only keys that Fineract allows for a repayment; it refuses any other. The amount never passes
    through a float: Python's encoder would write 1000000000000.10 as 1000000000000.1 at best.
    """
    fields = {
        "dateFormat": "yyyy-MM-dd",
        "locale": "en",
        "transactionDate": repayment.transaction_date.isoformat(),
        "externalId": repayment.external_id,
    }
    text = json.dumps(fields)
    return f'{text[:-1]}, "transactionAmount": {repayment.amount:.2f}}}'.encode("ascii")
