"""Dagster's webserver behind the log-in of the operations screens.

What belongs here: who may pass, with what; sending people to the log-in. What does not: which role
may do what (`door_rules`), sessions (`web.operations`), the process (`commands.webserver`).

Dagster's application is never served but through this one: there is no second port behind it. What
it gets to read of a GraphQL request is written anew here from what was judged, so that the two
cannot read different things.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from repayment_platform.defs import door_rules
from repayment_platform.defs.door_sockets import GuardedSocket, close
from repayment_platform.defs.door_streams import (
    LARGEST_BODY,
    SEEN_AS,
    replayed,
    whole_body,
    with_bar,
)
from repayment_platform.defs.launched_by import VISITOR, PersonsWorkspace
from repayment_platform.settings import BadSettings, Settings
from repayment_platform.warehouse.audit import record
from repayment_platform.web.operations import sessions
from repayment_platform.web.operations.origin import from_here, hosts, is_ours
from repayment_platform.web.operations.users import Role, User

POLL_MS = 2000
"""How often Dagster's pages ask anew, as its own command has it."""
HEALTH_PATH = "/healthz"
AWAY = "The database cannot be reached. Try again soon."


@contextmanager
def dagsters_app(conninfo: str, prefix: str, workspace_file: str) -> Iterator[ASGIApp]:
    """Dagster's own ASGI application, for requests that bear a user; not to be served as it is."""
    from dagster import DagsterInstance
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    with DagsterInstance.get() as instance:
        # As Dagster's own command has them: milliseconds, seconds, connections.
        instance.optimize_for_webserver(
            statement_timeout=15_000, pool_recycle=3600, max_overflow=20
        )
        target = WorkspaceFileTarget(paths=[workspace_file])
        workspace = PersonsWorkspace(instance, target, version=__version__, read_only=True)
        workspace.conninfo = conninfo
        with workspace:
            yield create_app_from_workspace_process_context(workspace, prefix, POLL_MS)


def prefix_of(settings: Settings) -> str:
    """The path below which Dagster is: that of DAGSTER_URL.

    Raises:
        BadSettings: where people open Dagster is not known, or the log-in would not count there.
    """
    if not settings.has_known_names or (settings.ops_url is None) != (settings.dagster_url is None):
        raise BadSettings(
            "OPS_URL and DAGSTER_URL must both be set where people open the two elsewhere than on "
            "this machine, such as https://repayments.example and https://repayments.example/dagster"
        )
    ops, dagster = urlsplit(settings.ops_address), urlsplit(settings.dagster_address)
    if (ops.scheme, ops.hostname) != (dagster.scheme, dagster.hostname):
        raise BadSettings(
            "DAGSTER_URL must have the scheme and host of OPS_URL: one log-in for both"
        )
    return dagster.path.rstrip("/")


class Door:
    """Lets pass who is logged in and may; everything else ends here."""

    def __init__(self, app: ASGIApp, settings: Settings, conninfo: str) -> None:
        self._app = app
        self._conninfo = conninfo
        self._prefix = prefix_of(settings)
        self._names = hosts(settings.dagster_url, settings.dagster_port)
        self._screens = settings.ops_address
        self._here = settings.dagster_address.removesuffix(self._prefix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one websocket, or Dagster's own start and end."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == HEALTH_PATH:
            await PlainTextResponse("ok")(scope, receive, send)
            return
        user: User | None = None
        try:
            user = await self._user(scope)
            refusal = self._refusal(scope, user)
            if not refusal and user and self._below(scope["path"]) == "/graphql":
                receive, refusal = await self._judged(receive, user)
        except psycopg.Error:
            refusal = PlainTextResponse(AWAY, 503)
        if refusal or user is None:
            await (refusal or PlainTextResponse("Log in first.", 401))(scope, receive, send)
            return
        is_judged = self._below(scope["path"]) == "/graphql"
        # What was not judged can change nothing, however Dagster understands its path.
        scope = _as_judged(scope, user if is_judged else replace(user, role=Role.VIEWER))
        seen_as = HTTPConnection(scope).cookies.get(SEEN_AS)
        await self._app(scope, receive, with_bar(send, user, self._screens, seen_as))

    def _refusal(self, scope: Scope, user: User | None) -> Response | None:
        """Why a request does not pass, from all but its body."""
        headers = Headers(scope=scope)
        if not is_ours(headers, self._names):
            return PlainTextResponse("This server has another name; DAGSTER_URL says which.", 421)
        method, path = scope["method"], self._below(scope["path"])
        if path is None:
            return RedirectResponse(f"{self._prefix}/")
        if method not in ("GET", "HEAD") and not from_here(headers):
            return PlainTextResponse("The request does not come from this site.", 403)
        if user is None:
            return self._to_log_in(scope, headers)
        if user.must_change_password:
            return RedirectResponse(f"{self._screens}/account/password", 303)
        least = door_rules.role_for(method, path)
        if least is None:
            return PlainTextResponse("Nobody may do this here.", 405)
        if user.role < least:
            return PlainTextResponse(f"This needs the role {least.label}.", 403)
        return None

    async def _judged(self, receive: Receive, user: User) -> tuple[Receive, Response | None]:
        """A GraphQL request, read and written anew; or why it is refused."""
        body = await whole_body(receive)
        if body is None:
            return receive, PlainTextResponse(f"The request is over {LARGEST_BODY} bytes.", 413)
        try:
            sent = json.loads(body)
            request = {name: sent.get(name) for name in ("query", "variables", "operationName")}
            asked = door_rules.asked(str(request["query"]))
        except (ValueError, AttributeError, RecursionError) as error:
            return receive, PlainTextResponse(f"This is no GraphQL request: {error}", 400)
        refusal = may_ask(user, asked)
        if refusal:
            return receive, PlainTextResponse(refusal, 403)
        if asked.mutations:
            await run_in_threadpool(self._audit, user, asked, request["variables"])
        return replayed(json.dumps(request).encode()), None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        ours = is_ours(headers, self._names) and from_here(headers) and "origin" in headers
        try:
            user = await self._user(scope)
        except psycopg.Error:
            user = None
        allowed = user is not None and not user.must_change_password
        if not (ours and allowed and self._below(scope["path"]) == "/graphql"):
            await close(receive, send)
            return
        assert user is not None  # noqa: S101 - else it is not allowed
        scope = {**scope, VISITOR: user}
        await GuardedSocket(scope, receive, send, self._user).serve(self._app)

    async def _user(self, scope: Scope) -> User | None:
        token = HTTPConnection(scope).cookies.get(sessions.COOKIE)
        return await run_in_threadpool(self._find, token) if token else None

    def _find(self, token: str) -> User | None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            return sessions.find(connection, token)

    def _audit(self, user: User, asked: door_rules.Asked, variables: Any) -> None:
        """Before it is done: what cannot be noted is not done."""
        subject = door_rules.subject_of(variables)
        with psycopg.connect(self._conninfo) as connection:
            for name in asked.mutations:
                record(connection, user.name, f"dagster.{name}", subject)

    def _below(self, path: str) -> str | None:
        """The path as Dagster's routes have it; None outside of its prefix."""
        if path != self._prefix and not path.startswith(f"{self._prefix}/"):
            return None
        return path.removeprefix(self._prefix) or "/"

    def _to_log_in(self, scope: Scope, headers: Headers) -> Response:
        """A page leads to the log-in and back; what a script asks for is told."""
        if scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
            return PlainTextResponse("Log in first.", 401)
        query = scope["query_string"].decode("latin-1")
        back = self._here + scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"{self._screens}/login?next={quote(back, safe='')}", 303)


def may_ask(user: User, asked: door_rules.Asked) -> str | None:
    """Why a user may not; None where the user may."""
    least = asked.least_role
    what = ", ".join(asked.mutations)
    if least is None:
        return f"Nobody may do this here: {what}"
    return None if user.role >= least else f"This needs the role {least.label}: {what}"


def _as_judged(scope: Scope, user: User) -> Scope:
    """The scope that Dagster sees: with the user, and of a GraphQL request no other way to ask."""
    scope = {**scope, VISITOR: user}
    if scope["method"] == "POST":
        kept = [
            (n, v) for n, v in scope["headers"] if n not in (b"content-type", b"content-length")
        ]
        scope["headers"] = [*kept, (b"content-type", b"application/json")]
        scope["query_string"] = b""
    return scope
