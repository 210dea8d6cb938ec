"""The resources: the warehouse, dbt and Fineract.

What belongs here: making resources from settings. What does not: assets; anything else in this
file would not be loaded (see the package's docstring).
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version
from pydantic import Field

from repayment_platform.sandbox.process import running_sandbox
from repayment_platform.settings import BadSettings, Settings, load_settings
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.server import warehouse
from repayment_platform.warehouse.urls import DatabaseUrls


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The PostgreSQL that the settings name; the embedded one lives at least as long as the run."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[DatabaseUrls]:
        del context
        with warehouse(load_settings()) as urls:
            # dbt is started by dagster-dbt with this process's environment.
            os.environ.update(urls.dbt_env)
            yield urls


class FineractResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The Fineract to post to. Run config may change these fields, but the host must be one of
    FINERACT_ALLOWED_HOSTS, and user and password come from the environment only."""

    base_url: str = Field(default="", description="Empty: FINERACT_BASE_URL, or the sandbox.")
    workers: int = Field(default=0, description="Requests at a time; 0: POSTING_WORKERS.")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Settings]:
        del context
        asked: dict[str, object] = {}
        if self.base_url:
            asked["fineract_base_url"] = self.base_url
        if self.workers:
            asked["posting_workers"] = self.workers
        try:
            settings = load_settings(**asked)
        except BadSettings as bad:
            raise dg.Failure(f"fineract: {bad}", allow_retries=False) from None
        if not settings.uses_sandbox:
            yield settings
            return
        with running_sandbox(settings.home, settings.sandbox_port, settings.sandbox_latency_ms):
            yield settings


class Dbt(DbtCliResource):
    """dbt, without what dagster-dbt does before each start of it, which takes half as long as an
    idle build: loading dbt's adapter into this process, for row counts and column metadata that
    nobody asks for, and running `dbt --version`, which also asks PyPI for the newest one."""

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        del args

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(
        # A process for each step takes longer to start than most steps take to run.
        executor=dg.in_process_executor,
        resources={
            "warehouse": WarehouseResource(),
            "fineract": FineractResource(),
            "dbt_cli": Dbt(
                project_dir=os.fspath(dbt.PROJECT),
                profiles_dir=os.fspath(dbt.PROJECT),
                # Not every process has the environment's bin directory on its PATH.
                dbt_executable=os.fspath(Path(sys.executable).with_name("dbt")),
                # Its file would hold what Dagster shows, and two megabytes of details for each run.
                global_config_flags=["--log-level-file", "none"],
            ),
        },
    )
