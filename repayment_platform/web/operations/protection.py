"""What guards every request before a page sees it.

What belongs here: response headers, that a form of nobody is not read, how large one may be, the
key that signs form tokens. What does not: who may do what (`admin`, `auth`).

starlette-admin's signed double-submit token is checked on every form as well.
"""

import os
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psycopg
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repayment_platform.settings import make_private
from repayment_platform.web.operations.origin import from_here, is_ours

LARGEST_FORM = 256 * 1024
LARGEST_UPLOAD = 50 * 1024 * 1024
"""Bytes; a larger file goes into its inbox folder."""
LONGEST_PATH = 500
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that PostgreSQL keeps in no text."""
LOGIN_PATH, HEALTH_PATH = "/login", "/healthz"
CLOSE = {"Connection": "close"}
AWAY = "The database cannot be reached. Try again soon."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = "content-security-policy"
HEADERS = {
    POLICY: "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Protection:
    """Refuses requests that no page of ours sends, and adds the headers to every answer."""

    def __init__(
        self,
        app: ASGIApp,
        upload_path: str,
        names: frozenset[str] | None,
        is_somebody: Callable[[HTTPConnection], Awaitable[bool]],
        leads_to: str,
    ) -> None:
        self.app = app
        self.upload_path = upload_path
        self.names = names
        self.is_somebody = is_somebody
        # A browser takes where an answered form leads to for part of its address.
        policy = HEADERS[POLICY].replace("form-action 'self'", f"form-action 'self' {leads_to}")
        self.headers = HEADERS | {POLICY: policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                if "/static/" not in scope["path"]:
                    # Payments of borrowers stay in no cache, and Back shows what is true now.
                    headers["cache-control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        await (refusal or await self._unknown(scope) or self.app)(scope, receive, send_guarded)

    async def _unknown(self, scope: Scope) -> Response | None:
        """What to say to nobody who sends a form, before a byte of it is read."""
        if scope["method"] in SAFE_METHODS or scope["path"] == LOGIN_PATH:
            return None
        try:
            somebody = await self.is_somebody(HTTPConnection(scope))
        except psycopg.OperationalError:
            return PlainTextResponse(AWAY, 503, CLOSE)
        return None if somebody else RedirectResponse(LOGIN_PATH, 303, CLOSE)

    def _refusal(self, method: str, path: str, headers: Headers) -> PlainTextResponse | None:
        if len(path) > LONGEST_PATH:
            return PlainTextResponse("There is no such page.", 404)
        if path != HEALTH_PATH and not is_ours(headers, self.names):
            return PlainTextResponse("This server has another name; OPS_URL says which.", 421)
        if method in SAFE_METHODS:
            return None
        if not from_here(headers):
            return PlainTextResponse("The form does not come from this site.", 403)
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdigit():
            return PlainTextResponse("The length of the form is missing.", 411)
        if int(length) > (LARGEST_UPLOAD if path == self.upload_path else LARGEST_FORM):
            return PlainTextResponse("The form is too large.", 413)
        return None


class Readable:
    """Refuses a form that cannot be read: its token is looked for before any page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except HTTPException as refusal:
            answer = PlainTextResponse(refusal.detail, refusal.status_code)
            await answer(scope, receive, send)


def signing_key(home: Path) -> str:
    """The key of this home that signs form tokens; made the first time, readable by its owner."""
    file = home / "operations.key"
    make_private(home)
    draft = home / f"operations.key.{os.getpid()}"
    if not file.exists():
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32))
        # The first of several processes wins: a link, unlike a move, replaces nothing.
        with suppress(FileExistsError):
            file.hardlink_to(draft)
        draft.unlink()
    return file.read_text()
