"""The application of the operations screens.

What belongs here: putting screens, access and protection together. What does not: any of them.
"""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from starlette.middleware import Middleware
from starlette_admin.theme import DefaultTheme, TablerSettings

from repayment_platform.settings import Settings
from repayment_platform.web.operations import show
from repayment_platform.web.operations.admin import OperationsAdmin
from repayment_platform.web.operations.auth import Access
from repayment_platform.web.operations.origin import hosts, origin_of
from repayment_platform.web.operations.protection import Protection, Readable, signing_key
from repayment_platform.web.operations.screens import SCREENS, Overview

HERE = Path(__file__).parent
UPLOAD_PATH = "/log/upload"


def create_app(settings: Settings, conninfo: str) -> FastAPI:
    """The screens on the database of `conninfo`, which is migrated."""
    access = Access(conninfo, settings.dagster_address)
    admin = create_admin(settings, conninfo, access)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(
        Protection,
        upload_path=UPLOAD_PATH,
        names=hosts(settings.ops_url, settings.ops_port) if settings.has_known_names else None,
        is_somebody=access.is_somebody,
        leads_to=origin_of(settings.dagster_address),
    )

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok")

    admin.mount_to(app)
    return app


def create_admin(settings: Settings, conninfo: str, access: Access) -> OperationsAdmin:
    """The screens as starlette-admin knows them, not yet mounted."""
    admin = OperationsAdmin(
        settings,
        conninfo,
        title="Repayments",
        base_url="/",
        route_name="operations",
        templates_dir=str(HERE / "templates"),
        static_dir=str(HERE / "static"),
        index_view=Overview(),
        theme=DefaultTheme(TablerSettings(base="slate", primary="blue", radius=1)),
        auth_provider=access,
        secret_key=signing_key(settings.home),
        timezone_config=None,
        middlewares=[Middleware(Readable)],
    )
    show.install(admin.env)
    admin.env.globals.update(
        sandbox=settings.uses_sandbox,
        dagster_url=settings.dagster_address,
        assets=int(max(file.stat().st_mtime for file in (HERE / "static").iterdir())),
    )
    for screen in SCREENS:
        admin.add_view(screen())
    return admin
