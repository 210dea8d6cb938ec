"""The asset `reconciled_repayments`: recon payments that were posted because a person asked.

What belongs here: its run config, its metadata and its job. What does not: requests themselves
(`reconciliation`), starting their runs (`recon_requests`), how posting works (`posting`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import psycopg
from pydantic import Field

from repayment_platform.defs.choices import ReconLender, ReconSource, chosen
from repayment_platform.defs.launched_by import LAUNCHED_BY
from repayment_platform.defs.posting import (
    NOT_COMPLETE,
    POOL,
    how_it_ended,
    markdown_table,
    observe_dry_run,
    run_metadata,
    telling,
    warn_of_sandbox,
)
from repayment_platform.defs.transformation import core_recon_record
from repayment_platform.display import rupees
from repayment_platform.posting import model as posting
from repayment_platform.posting.report import run_report
from repayment_platform.posting.runner import run_posting
from repayment_platform.reconciliation import requests, running
from repayment_platform.reconciliation.preview import (
    Excluded,
    NotBuilt,
    Preview,
    preview,
    strangers,
)
from repayment_platform.reconciliation.selection import (
    RECON_LENDERS,
    BadSelection,
    Selection,
)
from repayment_platform.settings import Settings, load_settings
from repayment_platform.warehouse.urls import DatabaseUrls

COUNTS = ("posted", "failed", "held", "deferred", "unknown", "awaiting_approval", "retry_later")
Connection = psycopg.Connection[Any]


class ReconcileConfig(dg.Config):
    """What to post: an approved request, or payments of lenders that are reconciled."""

    # Empty texts, not nulls: the launchpad then shows every field to be filled in.
    dry_run: bool = Field(default=True, description="Show what would be posted; change nothing.")
    request: int = Field(default=0, description="Number of an approved request; 0: none.")
    lender: ReconLender = Field(default=ReconLender.ANY, description="Whose payments.")
    recon_source: ReconSource = Field(default=ReconSource.ANY, description="Only this channel.")
    first_day: str = Field(default="", description="Paid from this day, YYYY-MM-DD.")
    last_day: str = Field(default="", description="Paid up to this day, YYYY-MM-DD.")
    source_keys: list[str] = Field(default=[], description="Only these payments.")
    requested_by: str = Field(
        default="", description="Who asks, on the command line; in Dagster it is who is logged in."
    )
    why: str = Field(default="", description="The reason, for the audit log.")

    def selection(self) -> Selection:
        """Raises BadSelection for what makes no sense."""
        selection = Selection(
            chosen(self.lender),
            chosen(self.recon_source),
            _day("first_day", self.first_day),
            _day("last_day", self.last_day),
            keys=tuple(key.strip().lower() for key in self.source_keys),
        )
        if self.request and selection != Selection():
            raise BadSelection("name a request or choose payments, not both")
        if not self.request:
            selection.validate()
        return selection


@dg.asset(
    deps=[core_recon_record],
    group_name="posting",
    kinds={"fineract", "python"},
    pool=POOL,
    output_required=False,  # as of posted_repayments
    description="Recon payments that an operator asked for, posted to Fineract exactly once.",
)
def reconciled_repayments(
    context: dg.AssetExecutionContext,
    config: ReconcileConfig,
    warehouse: dg.ResourceParam[DatabaseUrls],
    fineract: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult[None]]:
    with psycopg.connect(warehouse.psycopg, autocommit=True) as connection:
        try:
            if config.dry_run:
                observe_dry_run(context, _preview_metadata(seen(connection, config)))
                return
            request, plan = _take(connection, config, context.run)
        except REFUSALS as refusal:
            raise dg.Failure(f"{REFUSED}: {refusal}", allow_retries=False) from None
        warn_of_sandbox(context, fineract)
        context.log.info(f"request {request}: {len(plan.keys)} payments to post")
        yield _post(connection, warehouse.psycopg, fineract, request, plan, context)


REFUSED = "nothing was posted"
"""How a run ends that our own checks have refused: its launcher is told, and nobody else."""
REFUSALS = (
    BadSelection,
    NotBuilt,
    requests.NothingToReconcile,
    requests.NotOpen,
    requests.SelectionChanged,
    requests.UnknownRequest,
)
"""What is wrong with a run's config or comes too late for it; said to the operator as it is."""


def seen(connection: Connection, config: ReconcileConfig) -> Preview:
    """What a run of this config would post.

    Raises: one of REFUSALS.
    """
    selection = config.selection()
    if not config.request:
        _refuse_strangers(connection, selection)
        return preview(connection, selection)
    asked = requests.get(connection, config.request)
    keys = requests.keys(connection, config.request)
    shown = preview(connection, Selection(keys=keys), own_request=config.request)
    if shown.digest == asked.digest:
        return shown
    return replace(shown, warnings=[*shown.warnings, "not what was asked for any more"])


def _take(
    connection: Connection, config: ReconcileConfig, run: dg.DagsterRun
) -> tuple[int, running.Plan]:
    """The request of this run, made here where the config chooses payments. Who asks is who has
    launched the run, and the config says it only where nobody was logged in: on a command line."""
    selection, run_id = config.selection(), run.run_id
    four_eyes = load_settings().recon_four_eyes
    if config.request:
        return config.request, running.begin(connection, config.request, run_id, four_eyes)
    if four_eyes:
        raise BadSelection(
            "RECON_FOUR_EYES is on: request it in the Reconciliation screen and name the request "
            "here once another person has approved it, or leave dry_run on"
        )
    who = run.tags.get(LAUNCHED_BY) or config.requested_by.strip()
    if not who:
        raise BadSelection("say in requested_by who asks for it")
    _refuse_strangers(connection, selection)
    digest = preview(connection, selection).digest
    # In one transaction, so that nobody else takes the request.
    with connection.transaction():
        why = config.why or "asked for in Dagster"
        request = requests.create(connection, selection, digest, who, why, four_eyes=False)
        return request, running.begin(connection, request, run_id)


def _refuse_strangers(connection: Connection, selection: Selection) -> None:
    found = [f"{key}: {reason}" for key, reason in strangers(connection, selection)]
    if found:
        more = f"; and {len(found) - 10} more" if len(found) > 10 else ""
        raise BadSelection(f"not to be reconciled: {'; '.join(found[:10])}{more}")


def _post(
    connection: Connection,
    conninfo: str,
    fineract: Settings,
    request: int,
    plan: running.Plan,
    context: dg.AssetExecutionContext,
) -> dg.MaterializeResult[None]:
    run_id = context.run.run_id
    chosen = posting.Selection(RECON_LENDERS, recon_keys=plan.keys, recon_request=request)
    summary = posting.Summary(run_id)
    try:
        if plan.keys:
            told = telling(context)
            summary = run_posting(fineract, conninfo, chosen, run_id, progress=told)
    except posting.PostingStopped as stopped:
        summary = stopped.summary
    except Exception as error:
        summary.stopped = f"{type(error).__name__}: {error}"
        running.end(connection, request, run_id, _result(summary, plan), failed=True)
        raise
    ended = f"request {request}"
    if summary.stopped:
        ended = f"{how_it_ended(summary)}, {ended} can be started again"
    else:
        summary.stopped = running.not_posted(connection, request, plan)
    failed = summary.stopped is not None
    running.end(connection, request, run_id, _result(summary, plan), failed=failed)
    metadata = run_metadata(summary, run_report(conninfo, run_id)) | {
        "request": request,
        "excluded": excluded_table(plan.excluded),
    }
    if failed:
        why = f"{ended}: {summary.stopped}"
        context.log.error(why)
        metadata[NOT_COMPLETE] = why
    return dg.MaterializeResult(metadata=metadata)


def _result(summary: posting.Summary, plan: running.Plan) -> dict[str, Any]:
    """What the request remembers of the run."""
    return {
        **{name: summary.total(name) for name in COUNTS},
        "posted_rupees": summary.posted_rupees,
        "excluded": [
            {"reason": line.reason, "payments": line.payments, "rupees": line.rupees}
            for line in plan.excluded
        ],
        "stopped": summary.stopped,
        "run_id": summary.run_id,
    }


def _preview_metadata(shown: Preview) -> dict[str, Any]:
    return {
        "payments": shown.count,
        "rupees": rupees(shown.rupees),
        "by_lender": markdown_table(
            ("lender", "payments", "rupees"),
            ((line.lender, line.payments, rupees(line.rupees)) for line in shown.by_lender),
        ),
        "excluded": excluded_table(shown.excluded),
        "warnings": dg.MetadataValue.md(
            "\n".join(f"* {text}" for text in shown.warnings) or "none"
        ),
    }


def excluded_table(lines: Iterable[Excluded]) -> dg.MarkdownMetadataValue:
    return markdown_table(
        ("left out because", "payments", "rupees"),
        ((line.reason, line.payments, rupees(line.rupees)) for line in lines),
    )


def _day(name: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise BadSelection(f"{name} {text!r} is no date: YYYY-MM-DD") from None


reconcile_repayments = dg.define_asset_job(
    "reconcile_repayments",
    selection=dg.AssetSelection.assets(reconciled_repayments),
    # A run that is retried by Dagster would find its request taken; a person starts it again.
    tags={"dagster/max_retries": "0"},
    description="Post recon payments: of an approved request, or chosen by run config.",
)
