"""Logging in and out: the forms, the cookie, and whose request it is.

What belongs here: what starlette-admin asks of an authentication provider. What does not: what
a role may do (`admin`), sessions and passwords themselves.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.auth.base import AuthMiddleware
from starlette_admin.exceptions import LoginFailed
from starlette_admin.helpers import index_url, safe_redirect_url

from repayment_platform.warehouse.audit import record
from repayment_platform.web.operations import sessions, users
from repayment_platform.web.operations.login_limit import LoginLimit, network_of
from repayment_platform.web.operations.protection import AWAY, UNSTORABLE
from repayment_platform.web.operations.sessions import COOKIE
from repayment_platform.web.operations.users import Role, User

REFUSED = "This name and password do not fit."
TOO_MANY = "Too many tries. Wait a little, at most a quarter of an hour, or ask an administrator."

_ADDRESSES = """
SELECT DISTINCT detail ->> 'address' FROM "CORE"."CORE_AUDIT_LOG"
WHERE who = %s AND action = 'session.start' AND at > now() - interval '90 days'
"""


@dataclass
class Visitor(AdminUser):
    """The user of a request, as the layout of starlette-admin wants one."""

    role: Role = Role.VIEWER
    must_change_password: bool = False


class Gate(AuthMiddleware):
    """starlette-admin's gate, which says so when there is no database to recognize anybody by."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        try:
            return await super().dispatch(request, call_next)
        except psycopg.OperationalError:
            return PlainTextResponse(AWAY, 503)


class Access(AuthProvider):
    """Names and passwords against CORE_USER, sessions in CORE_SESSION."""

    def __init__(self, conninfo: str, dagster_url: str) -> None:
        super().__init__()
        self._conninfo = conninfo
        self._dagster_url = dagster_url
        self._limit = LoginLimit()

    def get_middleware(self) -> Middleware:
        return Middleware(Gate, provider=self)

    async def authenticate(self, request: Request) -> AdminUser | None:
        user = await self._user(request)
        if user is None:
            return None
        return Visitor(user.name, None, user.role, user.must_change_password)

    async def is_somebody(self, request: HTTPConnection) -> bool:
        """Whether there is a session that the request belongs to."""
        return await self._user(request) is not None

    async def _user(self, request: HTTPConnection) -> User | None:
        token = request.cookies.get(COOKIE)
        return await run_in_threadpool(self._find, token) if token else None

    async def login(
        self, username: str, password: str, remember_me: bool, request: Request
    ) -> Response:
        del remember_me  # sessions last as long for everybody
        name, address = username.strip().lower()[:60], address_of(request)
        if UNSTORABLE.search(username + password):
            raise LoginFailed(REFUSED)
        token = await run_in_threadpool(self._enter, name, password, address)
        if token is None:
            raise LoginFailed(REFUSED)
        self._limit.succeeded(name, address)
        home = index_url(request)
        wanted = request.query_params.get("next") or home
        if not wanted.startswith(f"{self._dagster_url}/"):
            wanted = safe_redirect_url(wanted, request, home)
        response = RedirectResponse(wanted, 303)
        set_session(request, response, token)
        return response

    async def logout(self, request: Request) -> Response:
        token = request.cookies.get(COOKIE)
        visitor = getattr(request.state, "admin_user", None)
        if token and visitor:
            await run_in_threadpool(self._leave, token, visitor.username)
        response = RedirectResponse(index_url(request), 303)
        response.delete_cookie(COOKIE)
        return response

    def _find(self, token: str) -> User | None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            return sessions.find(connection, token)

    def _enter(self, name: str, password: str, address: str) -> str | None:
        with psycopg.connect(self._conninfo) as connection:
            if not self._limit.allows(name, address, lambda: _came_from(connection, name, address)):
                raise LoginFailed(TOO_MANY)
            if not users.verify(connection, name, password):
                record(connection, name, "session.refused", name, address=address)
                return None
            record(connection, name, "session.start", name, address=address)
            return sessions.start(connection, name)

    def _leave(self, token: str, name: str) -> None:
        with psycopg.connect(self._conninfo) as connection:
            sessions.end(connection, token)
            record(connection, name, "session.end", name)


def _came_from(connection: Connection[Any], name: str, address: str) -> bool:
    """Whether the user has logged in from this address, or its network, before."""
    rows = connection.execute(_ADDRESSES, (name,)).fetchall()
    return network_of(address) in {network_of(known) for (known,) in rows}


def set_session(request: Request, response: Response, token: str) -> None:
    """Hand the browser its session; scripts and other sites cannot use it."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(sessions.LONGEST.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def address_of(request: Request) -> str:
    """Where a request comes from, for counting tries and for the audit log."""
    return request.client.host if request.client else "unknown"
