"""RAW tables as assets: file sources that read their inboxes, webhook sources that are observed.

What belongs here: the assets that carry the keys of the dbt sources. What does not: reading files
(`landing`), receiving webhooks (`web`).
"""

from collections.abc import Iterator

import dagster as dg
import psycopg
from psycopg import sql

from repayment_platform.landing.inbox import land_inbox
from repayment_platform.landing.reading import Limits
from repayment_platform.settings import load_settings
from repayment_platform.sources.registry import SOURCES, Kind, Source
from repayment_platform.warehouse.urls import DatabaseUrls

FILE_SOURCES = tuple(s for s in SOURCES.values() if s.kind is Kind.FILE)
WEBHOOK_SOURCES = tuple(s for s in SOURCES.values() if s.kind is not Kind.FILE)


def raw_key(source: Source) -> dg.AssetKey:
    return dg.AssetKey(["RAW", source.table])


def _spec(source: Source, how: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        raw_key(source),
        group_name="raw",
        kinds={source.kind.value, "postgres"},
        description=f"{source.reports} of {source.lender}, as sent. {how}",
        metadata={"lender": source.lender, "dagster/table_name": f"RAW.{source.table}"},
    )


@dg.multi_asset(
    name="land_files",
    specs=[
        _spec(s, "Materializing reads the files waiting in its inbox.").replace_attributes(
            skippable=True
        )
        for s in FILE_SOURCES
    ],
    can_subset=True,
)
def landed_files(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[DatabaseUrls]
) -> Iterator[dg.MaterializeResult[None]]:
    selected = [s for s in FILE_SOURCES if raw_key(s) in context.selected_asset_keys]
    # All in one go: the oldest file comes first, whichever source it is of.
    settings = load_settings()
    taken = land_inbox(
        warehouse.psycopg,
        settings.home,
        received_by="inbox",
        limits=Limits.of(settings),
        sources={source.table for source in selected},
    )
    for source in selected:
        results = taken[source.table].results
        for result in results:
            told = f", {result.error}" if result.error else ""
            context.log.info(f"{source.table}: {result.name} {result.status}{told}")
        if taken[source.table].failures:
            continue
        yield dg.MaterializeResult(
            asset_key=raw_key(source),
            metadata={
                "files": len(results),
                "files_failed": sum(r.status == "failed" for r in results),
                "rows_read": sum(r.rows_read for r in results),
                "rows_landed": sum(r.rows_landed for r in results),
                "rows_quarantined": sum(r.rows_quarantined for r in results),
            },
        )
    failures = [failure for of_source in taken.values() for failure in of_source.failures]
    if failures:
        raise ExceptionGroup("files that could not be landed", failures)


received_webhooks = [_spec(s, "The webhook receiver fills it.") for s in WEBHOOK_SOURCES]


def newest_raw_id(connection: psycopg.Connection[tuple[object, ...]], source: Source) -> int:
    """The greatest id of a RAW table, 0 when it is empty."""
    query = sql.SQL('SELECT coalesce(max(id), 0) FROM "RAW".{}')
    row = connection.execute(query.format(sql.Identifier(source.table))).fetchone()
    return int(str(row[0])) if row else 0
