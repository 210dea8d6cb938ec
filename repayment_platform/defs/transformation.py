"""The dbt project as assets: BASE views, payment keys, CORE.

What belongs here: how dbt's models appear in Dagster, and running them under the dbt lock. What
does not: what the models say (`dbt_project`).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DbtCliResource,
    DbtProject,
    dbt_assets,
    get_asset_key_for_model,
)

from repayment_platform.settings import load_settings
from repayment_platform.warehouse import dbt
from repayment_platform.warehouse.dbt_build import forget_build, nothing_new, remember_build
from repayment_platform.warehouse.dbt_generated import APPLICATION_TABLES
from repayment_platform.warehouse.urls import DatabaseUrls

PIPELINE = "repayment_pipeline"
"""The job that runs by itself, with all models."""
EVERY_HALF_HOUR = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=2), warn_window=timedelta(minutes=75)
)
"""Two half hours may fail before anybody is warned, and four before it is serious."""


class Translator(DagsterDbtTranslator):
    """Groups the assets by schema: raw, base, core."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return str(dbt_resource_props.get("schema") or "core").lower()

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """Payments that are not unified in time are late, whatever is built from them."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if spec.key.path[-1] == "core_transaction_data":
            return spec.replace_attributes(freshness_policy=EVERY_HALF_HOUR)
        return spec


@dbt_assets(
    manifest=dbt.prepare(),
    exclude=dbt.NIGHTLY_TESTS,
    dagster_dbt_translator=Translator(),
    name="dbt",
)
def dbt_models(
    context: dg.AssetExecutionContext,
    dbt_cli: DbtCliResource,
    warehouse: dg.ResourceParam[DatabaseUrls],
) -> Iterator[Any]:
    """Builds and tests the selected models; one dbt run at a time in a database. A run of the
    pipeline that would find nothing new leaves dbt out; models that are asked for by hand are
    always built."""
    in_pipeline = context.job_name == PIPELINE
    with dbt.dbt_session(warehouse) as session:
        if in_pipeline and nothing_new(warehouse, dbt.PROJECT):
            context.log.info("nothing has landed or been decided since the last build: it stands")
            yield from _still_standing(context)
            return
        forget_build(warehouse)
        # One target folder for all runs: dbt parses only what has changed since the last, and
        # under the lock no two runs write to it.
        target = load_settings().home / "dbt"
        invocation = dbt_cli.cli(dbt.BUILD, context=context, target_path=target)
        with session.resting(invocation.process):
            yield from invocation.stream()
        if in_pipeline:
            remember_build(warehouse, dbt.PROJECT)


def _still_standing(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    """The models are as good as newly built: what depends on them may run, and they are fresh."""
    for key in TopologicalSorter(context.assets_def.asset_deps).static_order():
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=key, metadata={"built": "not again: nothing was new"}
            )


core_transaction_data = get_asset_key_for_model([dbt_models], "core_transaction_data")
"""Raises while loading if the model is gone, instead of leaving a dangling key downstream."""

core_recon_record = get_asset_key_for_model([dbt_models], "core_recon_record")

application_tables = [
    dg.AssetSpec(
        ["CORE", table],
        group_name="core",
        kinds={"postgres"},
        description=f"{what} Written by the application, read by dbt.",
    )
    for table, what in APPLICATION_TABLES.items()
]
