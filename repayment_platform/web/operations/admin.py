"""The frame of the screens: who may open which, with which connection, and what errors look like.

What belongs here: the rule that every route names the role it needs, and keeping to it. What
does not: single screens, log-in (`auth`).
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg
from jinja2 import Environment
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette_admin import BaseAdmin, CustomView
from starlette_admin.flash import flash
from starlette_admin.routing import route

from repayment_platform.settings import Settings
from repayment_platform.warehouse.pins import and_options
from repayment_platform.web.operations.auth import Visitor
from repayment_platform.web.operations.protection import UNSTORABLE
from repayment_platform.web.operations.users import Role

PASSWORD_PATH = "/account/password"  # noqa: S105 - a path
SLOWEST_QUERY = "20s"
_OPTIONS = f"-c timezone=Asia/Kolkata -c statement_timeout={SLOWEST_QUERY}"


@dataclass
class Visit:
    """One request as a page sees it: who asks, what for, and a connection for it.

    The connection is in autocommit mode, gives times in Asia/Kolkata, and is read-only for a
    GET, so that looking at a page can change nothing.
    """

    request: Request
    user: Visitor
    settings: Settings
    conninfo: str
    connection: Connection[Any]
    form: FormData
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    def rows(self, query: LiteralString | SQL | Composed, **values: Any) -> list[Any]:
        """Rows as dictionaries."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()

    def row(self, query: LiteralString | SQL | Composed, **values: Any) -> Any:
        """The only row, or None."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def text(self, name: str, longest: int = 500) -> str:
        """A field of the form, trimmed; empty where it is missing."""
        value = self.form.get(name)
        return value.strip()[:longest] if isinstance(value, str) else ""

    def may(self, role: Role) -> bool:
        return self.user.role >= role

    def tell(self, message: str, category: str = "success") -> None:
        """Show a message on the next page."""
        flash(self.request, message, category)

    def go(self, path: str) -> Response:
        """Answer a form: the browser opens `path`, so that reloading repeats nothing."""
        return RedirectResponse(self.request.scope.get("root_path", "") + path, 303)


Page = Callable[[Any, Visit], Response]


def page(path: str, role: Role, method: str = "GET") -> Callable[[Page], Any]:
    """Make a method of a screen the page at `path`, for `role` and those above it."""

    def wrap(act: Page) -> Any:
        async def handler(view: "Screen", request: Request) -> Response:
            form = await request.form() if method == "POST" else FormData()
            sent = (request.path_params, request.query_params, form)
            if any(UNSTORABLE.search(str(value)) for part in sent for value in part.values()):
                raise HTTPException(400, "This holds characters that no text here can have.")
            return await run_in_threadpool(view.admin.visit, view, act, request, form)

        handler.role = role  # type: ignore[attr-defined]
        handler.__name__ = act.__name__
        handler.__doc__ = act.__doc__
        return route(path, [method])(handler)

    return wrap


class Screen(CustomView):
    """A screen of the menu and the pages and forms that belong to it."""

    role = Role.VIEWER
    """Who sees it in the menu."""
    index: Any = None
    """starlette-admin's own page, which names no role, is not served."""

    def __init__(self) -> None:
        # Addresses are built from names, and "index" is the name of the first page.
        super().__init__(route_name=self.route_name or type(self).__name__.lower())

    @property
    def admin(self) -> "OperationsAdmin":
        assert isinstance(self._admin, OperationsAdmin)  # noqa: S101 - set by add_view
        return self._admin

    def is_accessible(self, request: Request) -> bool:
        return request.state.admin_user.role >= self.role

    def is_active(self, request: Request) -> bool:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if self.path == "/":
            return path in ("", "/")
        return path == self.path or path.startswith((self.path + "/", self.path + "."))

    def show(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """Render a template with the frame around it."""
        values |= {"visit": visit, "user": visit.user, "Role": Role}
        values.setdefault("title", self.menu_label)
        return self.admin._template_response(visit.request, template, values, status)


class OperationsAdmin(BaseAdmin):
    """starlette-admin without its model pages: ours page by key and never count everything."""

    def __init__(self, settings: Settings, conninfo: str, **options: Any) -> None:
        self.settings = settings
        self.conninfo = conninfo
        super().__init__(**options)

    def _collect_core_routes(self) -> list[Route]:
        """None: there is no model view that they could serve."""
        return []

    def _wrap_extra_route(
        self,
        custom_view: CustomView,
        handler: Callable[[Request], Awaitable[Response]],
        templates: Jinja2Templates,
    ) -> Callable[[Request], Awaitable[Response]]:
        """Let nobody in below the role that the page names; a page without one does not start."""
        custom_view.templates = templates
        role: Role = handler.role  # type: ignore[attr-defined]

        async def endpoint(request: Request) -> Response:
            visitor: Visitor = request.state.admin_user
            if visitor.must_change_password and request.scope["path"] != PASSWORD_PATH:
                return RedirectResponse(PASSWORD_PATH, 303)
            if visitor.role < role:
                raise HTTPException(403, f"This needs the role {role.label}.")
            return await handler(request)

        endpoint.role = role  # type: ignore[attr-defined]
        endpoint.__doc__ = handler.__doc__
        return endpoint

    def visit(self, view: Screen, act: Page, request: Request, form: FormData) -> Response:
        """Call a page with a connection; a database that is not ready becomes a page as well."""
        try:
            with self.connect(read_only=request.method in ("GET", "HEAD")) as connection:
                user: Visitor = request.state.admin_user
                seen = Visit(request, user, self.settings, self.conninfo, connection, form)
                return act(view, seen)
        except psycopg.errors.UndefinedTable:
            text = "There is nothing to show before the pipeline has run for the first time."
            raise HTTPException(503, text) from None
        except psycopg.errors.QueryCanceled:
            text = "This took too long. Narrow it down: one lender, fewer days."
            raise HTTPException(503, text) from None
        except psycopg.OperationalError:
            raise HTTPException(503, "The database cannot be reached. Try again soon.") from None

    @contextmanager
    def connect(self, *, read_only: bool, options: str = _OPTIONS) -> Iterator[Connection[Any]]:
        only = f"{options} -c default_transaction_read_only=on" if read_only else options
        with psycopg.connect(and_options(self.conninfo, only), autocommit=True) as connection:
            yield connection

    def connect_long(self) -> AbstractContextManager[Connection[Any]]:
        """For a download, which may take its time."""
        return self.connect(read_only=True, options="-c timezone=Asia/Kolkata")

    @property
    def env(self) -> Environment:
        return self.templates.env
