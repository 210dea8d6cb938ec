"""Who may open what, read from the application itself: the table in docs/access.md.

What belongs here: listing the routes with their roles. What does not: enforcing them (`admin`).
Dagster's part of the page, and the command that writes it, are in `defs.door_table`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route

from repayment_platform.web.operations.users import Role

_INTRO = """# Who may open what

Written from the application by `python -m repayment_platform.defs.door_table`; a test compares it
with every route, and tries each route with each role. Everything that is not in this
table is refused. Whoever has not logged in is sent to the log-in, and every form needs its token.

| Path | Method | What | anybody | viewer | operator | approver | admin |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Access:
    """A path and method, and the least role for it; None where nobody need log in."""

    path: str
    method: str
    role: Role | None
    what: str

    @property
    def line(self) -> str:
        cells = [self.role is None, *(self.role is None or role >= self.role for role in Role)]
        marks = " | ".join("yes" if cell else "no" for cell in cells)
        return f"| `{self.path}` | {self.method} | {self.what} | {marks} |"


def accesses(app: FastAPI) -> list[Access]:
    """Every route of the application, by path."""
    return sorted(_of(app.routes), key=lambda access: (access.path, access.method))


def access_page(app: FastAPI) -> str:
    """The page of docs."""
    return _INTRO + "\n".join(access.line for access in accesses(app)) + "\n"


def _of(routes: Sequence[BaseRoute]) -> Iterator[Access]:
    for route in routes:
        if isinstance(route, Mount) and route.name == "static":
            yield Access("/static/…", "GET", None, "Styles and scripts.")
        elif isinstance(route, Mount):
            yield from _of(route.routes)
        elif isinstance(route, Route):
            role = getattr(route.endpoint, "role", _unnamed(route))
            text = (_WHAT.get(route.path) or route.endpoint.__doc__ or "").split("\n")[0]
            path = re.sub(r":\w+}", "}", route.path)
            for method in (route.methods or set()) - {"HEAD"}:
                yield Access(path, method, role, text)


_WHAT = {
    "/login": "Logging in.",
    "/logout": "Logging out.",
    "/healthz": "Whether the server lives.",
}


def _unnamed(route: Route) -> Role | None:
    """The role of the routes that starlette-admin or FastAPI brings."""
    return Role.VIEWER if route.path == "/logout" else None
