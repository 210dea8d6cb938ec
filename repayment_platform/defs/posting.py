"""The asset `posted_repayments`: the payments that this platform has posted to Fineract.

What belongs here: its run config and its metadata. What does not: how posting works (`posting`),
its checks (`checks`), when it runs (`automation`).
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster import MarkdownMetadataValue
from pydantic import Field

from repayment_platform.defs.transformation import core_transaction_data
from repayment_platform.posting.model import (
    LenderCount,
    PostingStopped,
    QueueLine,
    Selection,
    Summary,
    lenders_or_all,
)
from repayment_platform.posting.runner import inspect_queue, run_posting
from repayment_platform.settings import Settings
from repayment_platform.sources.registry import automated_lenders
from repayment_platform.warehouse.urls import DatabaseUrls

POOL = "fineract_posting"
"""Shared by everything that posts; its limit of one keeps posting runs in line."""
AUTOMATED = automated_lenders()


class PostingConfig(dg.Config):
    """What a run posts; by default everything that is due."""

    dry_run: bool = Field(default=False, description="Show the queue and change nothing.")
    lenders: list[str] = Field(
        default=[], description=f"Only these lenders, of {', '.join(AUTOMATED)}; empty: all."
    )
    limit: int | None = Field(default=None, ge=1, description="At most this many payments.")

    def selection(self) -> Selection:
        """Raises ValueError for a lender that is not posted automatically."""
        return Selection(lenders_or_all(self.lenders, AUTOMATED), self.limit)


@dg.asset(
    deps=[core_transaction_data],
    group_name="posting",
    kinds={"fineract", "python"},
    pool=POOL,
    description="Every due payment of the automated lenders, posted to Fineract exactly once.",
)
def posted_repayments(
    context: dg.AssetExecutionContext,
    config: PostingConfig,
    warehouse: dg.ResourceParam[DatabaseUrls],
    fineract: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    selection = config.selection()
    run_id = context.run.run_id
    if config.dry_run:
        lines = inspect_queue(warehouse.psycopg, selection, run_id)
        context.log.info("dry run: nothing was changed")
        return dg.MaterializeResult(metadata={"dry_run": True, "queue": queue_table(lines)})
    if fineract.uses_sandbox:
        context.log.warning("posting to the sandbox: FINERACT_BASE_URL names no real Fineract")
    try:
        summary = run_posting(fineract, warehouse.psycopg, selection, run_id)
    except PostingStopped as stopped:
        raise dg.Failure(
            f"posting stopped early, the rest stays queued: {stopped}",
            metadata=summary_metadata(stopped.summary),
            allow_retries=False,
        ) from stopped
    return dg.MaterializeResult(metadata=summary_metadata(summary))


def summary_metadata(summary: Summary) -> dict[str, Any]:
    """What an operator wants to see of a run: counts, rupees, failures in Fineract's words."""
    return {
        "picked_up": dg.MetadataValue.int(summary.total("picked_up")),
        "posted": dg.MetadataValue.int(summary.total("posted")),
        "posted_rupees": dg.MetadataValue.text(f"{summary.posted_rupees:,.2f}"),
        "failed": dg.MetadataValue.int(summary.total("failed")),
        "held": dg.MetadataValue.int(summary.total("held")),
        "in_doubt": dg.MetadataValue.int(summary.total("unknown")),
        "seconds": dg.MetadataValue.float(round(summary.seconds, 3)),
        "by_lender": _lender_table(summary),
        "failures": _failure_table(summary),
    }


def queue_table(lines: Iterable[QueueLine]) -> MarkdownMetadataValue:
    """The open work as a table; `due` rows are what a run would pick up."""
    return _table(
        ("lender", "path", "state", "payments", "rupees", "due now", "reason"),
        (
            (q.lender, q.path, q.state, q.payments, f"{q.rupees:,.2f}", _yes(q.due), q.reason)
            for q in lines
        ),
    )


def _lender_table(summary: Summary) -> MarkdownMetadataValue:
    names = tuple(name for name in LenderCount.__dataclass_fields__ if name != "posted_rupees")
    return _table(
        ("lender", *(name.replace("_", " ") for name in names), "rupees posted"),
        (
            (code, *(getattr(count, name) for name in names), f"{count.posted_rupees:,.2f}")
            for code, count in sorted(summary.lenders.items())
        ),
    )


def _failure_table(summary: Summary) -> MarkdownMetadataValue:
    return _table(
        ("lender", "loan", "date", "rupees", "state", "code", "Fineract's words", "source_key"),
        (
            (
                f.payment.lender,
                f.payment.loan,
                f.payment.date,
                f"{f.payment.amount:,.2f}",
                f.state,
                f.code,
                f.text,
                f.payment.source_key,
            )
            for f in summary.failures
        ),
    )


def _table(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> MarkdownMetadataValue:
    lines = [" | ".join(str(cell).replace("|", "/") for cell in row) for row in rows]
    if not lines:
        return dg.MetadataValue.md("none")
    head = [" | ".join(header), " | ".join("---" for _ in header)]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in head + lines))


def _yes(value: bool) -> str:
    return "yes" if value else ""
