"""The asset `posted_repayments`: the payments that this platform has posted to Fineract.

What belongs here: its run config and its metadata. What does not: how posting works (`posting`),
its checks (`checks`), when it runs (`automation`).
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg
from dagster import MarkdownMetadataValue
from pydantic import Field

from repayment_platform.defs.choices import AutomatedLender
from repayment_platform.defs.transformation import EVERY_HALF_HOUR, core_transaction_data
from repayment_platform.display import rupees
from repayment_platform.posting.engine import POSTING, Progress
from repayment_platform.posting.model import (
    PostingStopped,
    QueueLine,
    Selection,
    Summary,
    lenders_or_all,
)
from repayment_platform.posting.report import LenderReport, run_report
from repayment_platform.posting.runner import inspect_queue, run_posting
from repayment_platform.settings import Settings
from repayment_platform.sources.registry import automated_lenders
from repayment_platform.warehouse.urls import DatabaseUrls

POOL = "fineract_posting"
"""Shared by everything that posts; its limit of one keeps posting runs in line."""
AUTOMATED = automated_lenders()
STOPPED_EARLY = "posting stopped early"
"""How a run ends that was broken off because Fineract, and no payment, was at fault."""
COMPLETE = "posting_complete"
"""The check of all that posts: whether the run got through."""
NOT_COMPLETE = "not_complete"
"""Of a materialization: why not all was posted; that check tells it."""
ANSWERED = "fineract_answered"
"""Of a materialization and that check: Fineract answered the run at least once."""
_LOG = logging.getLogger(__name__)
_LOG.addHandler(logging.NullHandler())

COUNTS = ("picked_up", "posted", "failed", "held", "deferred", "in_doubt", "waiting", "recon")
"""What is told of a run: the first three happened in it, the others are open after it."""


class PostingConfig(dg.Config):
    """What a run posts; by default everything that is due."""

    dry_run: bool = Field(default=False, description="Show the queue and change nothing.")
    lenders: list[AutomatedLender] = Field(
        default=[], description=f"Only these lenders, of {', '.join(AUTOMATED)}; empty: all."
    )
    limit: int | None = Field(default=None, ge=1, description="At most this many payments.")

    def selection(self) -> Selection:
        """Raises ValueError for a lender that is not posted automatically."""
        names = [lender.value for lender in self.lenders]
        return Selection(lenders_or_all(names, AUTOMATED), self.limit)


@dg.asset(
    deps=[core_transaction_data],
    group_name="posting",
    kinds={"fineract", "python"},
    pool=POOL,
    freshness_policy=EVERY_HALF_HOUR,
    output_required=False,  # a dry run materializes nothing, and Dagster skips its checks
    description="Every due payment of the automated lenders, posted to Fineract exactly once.",
)
def posted_repayments(
    context: dg.AssetExecutionContext,
    config: PostingConfig,
    warehouse: dg.ResourceParam[DatabaseUrls],
    fineract: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult[None]]:
    selection = config.selection()
    run_id = context.run.run_id
    if config.dry_run:
        lines = inspect_queue(warehouse.psycopg, selection, run_id)
        observe_dry_run(context, {"queue": queue_table(lines)})
        return
    warn_of_sandbox(context, fineract)
    told = telling(context)
    try:
        summary = run_posting(fineract, warehouse.psycopg, selection, run_id, progress=told)
    except PostingStopped as stopped:
        summary = stopped.summary
    metadata = run_metadata(summary, run_report(warehouse.psycopg, run_id))
    if summary.stopped:
        why = f"{how_it_ended(summary)}, the rest stays queued: {summary.stopped}"
        context.log.error(why)
        metadata[NOT_COMPLETE] = why
    yield dg.MaterializeResult(metadata=metadata)


def how_it_ended(summary: Summary) -> str:
    """Whether Fineract or somebody else broke the run off."""
    return "posting was told to stop" if summary.was_told_to_stop else STOPPED_EARLY


def telling(context: dg.AssetExecutionContext) -> Progress:
    """Says in the run's log what a run waits for, and to whoever shows this module's log."""

    def tell(_summary: Summary, doing: str) -> None:
        if doing != POSTING:
            _LOG.warning(doing)
            context.log.warning(doing)

    return tell


def observe_dry_run(context: dg.AssetExecutionContext, seen: dict[str, Any]) -> None:
    """Show on the asset's page what a run would do: as an observation, for nothing was posted."""
    metadata = {"dry_run": True, **seen}
    context.log_event(dg.AssetObservation(context.asset_key, metadata=metadata))
    context.log.info("dry run: nothing was changed")


def warn_of_sandbox(context: dg.AssetExecutionContext, fineract: Settings) -> None:
    """Say in the run's log where the money does not go."""
    if fineract.uses_sandbox:
        context.log.warning("posting to the sandbox: FINERACT_BASE_URL names no real Fineract")


def run_metadata(summary: Summary, report: Sequence[LenderReport]) -> dict[str, Any]:
    """What an operator wants to see of a run: counts, rupees, failures in Fineract's words."""
    total = {name: sum(getattr(line, name) for line in report) for name in COUNTS}
    return {
        **{name: dg.MetadataValue.int(count) for name, count in total.items()},
        "posted_rupees": dg.MetadataValue.text(rupees(summary.posted_rupees)),
        ANSWERED: dg.MetadataValue.bool(summary.has_answered),
        "seconds": dg.MetadataValue.float(round(summary.seconds, 3)),
        **_pace_metadata(summary),
        "by_lender": markdown_table(
            ("lender", "rupees posted", *(name.replace("_", " ") for name in COUNTS)),
            (
                (line.lender, rupees(line.rupees), *(getattr(line, name) for name in COUNTS))
                for line in report
            ),
        ),
        "failures": _failure_table(summary),
    }


def _pace_metadata(summary: Summary) -> dict[str, Any]:
    """How many requests were under way at once, and what Fineract took for one."""
    pace = summary.pace
    if pace is None or pace.latency_seconds is None:
        return {}
    changed = f"{pace.former} → {pace.limit}: {pace.why}" if pace.why else "not at all"
    return {
        "under_way": dg.MetadataValue.int(pace.limit),
        "under_way_highest": dg.MetadataValue.int(pace.highest),
        "under_way_changed": dg.MetadataValue.text(changed),
        "latency_ms": dg.MetadataValue.float(round(1000 * pace.latency_seconds, 1)),
    }


def queue_table(lines: Iterable[QueueLine]) -> MarkdownMetadataValue:
    """The open work as a table; `due` rows are what a run would pick up."""
    return markdown_table(
        ("lender", "path", "state", "payments", "rupees", "due now", "reason"),
        (
            (q.lender, q.path, q.state, q.payments, rupees(q.rupees), _yes(q.due), q.reason)
            for q in lines
        ),
    )


def _failure_table(summary: Summary) -> MarkdownMetadataValue:
    return markdown_table(
        ("lender", "loan", "date", "rupees", "state", "code", "Fineract's words", "source_key"),
        (
            (
                f.payment.lender,
                f.payment.loan,
                f.payment.date,
                rupees(f.payment.amount),
                f.state,
                f.code,
                f.text,
                f.payment.source_key,
            )
            for f in summary.failures
        ),
    )


def markdown_table(
    header: tuple[str, ...], rows: Iterable[tuple[object, ...]]
) -> MarkdownMetadataValue:
    """Rows as a table in Dagster's UI."""
    lines = [" | ".join(str(cell).replace("|", "/") for cell in row) for row in rows]
    if not lines:
        return dg.MetadataValue.md("none")
    head = [" | ".join(header), " | ".join("---" for _ in header)]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in head + lines))


def _yes(value: bool) -> str:
    return "yes" if value else ""
