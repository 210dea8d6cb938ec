"""Asset checks that prove, after every run, that nothing was posted twice or forgotten, and tell
where a run did not get through.

What belongs here: turning proofs into check results. What does not: the proofs (`posting.proof`,
`exceptions.ledger_proof`), tests of single models (dbt).
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from repayment_platform.defs.posting import (
    ANSWERED,
    COMPLETE,
    NOT_COMPLETE,
    posted_repayments,
)
from repayment_platform.defs.reconciliation import reconciled_repayments
from repayment_platform.exceptions.ledger_proof import ledger_agrees
from repayment_platform.exceptions.silence import nothing_new_silent
from repayment_platform.ledger.findings import FINDINGS_SHOWN, Proof
from repayment_platform.ledger.scope import LedgerScope
from repayment_platform.posting import proof
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls

OF_ALL_POSTINGS = "ledger_agrees"
"""The check that compares all postings, whichever asset it belongs to."""


class LedgerConfig(dg.Config):
    """Which postings to compare; by default those never compared before and the latest."""

    lender: str | None = Field(default=None, description="All postings of this lender.")
    first_day: str | None = Field(default=None, description="Paid from this day, YYYY-MM-DD.")
    last_day: str | None = Field(default=None, description="Paid up to this day, YYYY-MM-DD.")

    def scope(self) -> LedgerScope:
        """Raises ValueError for what is no date."""
        first, last = (
            date.fromisoformat(day) if day else None for day in (self.first_day, self.last_day)
        )
        return LedgerScope(self.lender.upper() if self.lender else None, first, last)


def _posted_once(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        description="No source_key and no payment reference has two successes, in the outcomes or "
        "the attempts; the unique indexes that guard this stand.",
    )
    def no_source_key_posted_twice(
        warehouse: dg.ResourceParam[DatabaseUrls],
    ) -> dg.AssetCheckResult:
        return _result(proof.nothing_recorded_twice(warehouse.psycopg))

    return no_source_key_posted_twice


def _stands_in_ledger(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name=OF_ALL_POSTINGS,
        description="What was posted and never compared before, and the latest postings, stand in "
        "Fineract's ledger once, live and equal, without a twin that we did not post. Differences "
        "become exceptions; every night some of all history is compared again.",
    )
    def ledger_agrees_check(
        config: LedgerConfig,
        warehouse: dg.ResourceParam[DatabaseUrls],
        fineract: dg.ResourceParam[Settings],
    ) -> dg.AssetCheckResult:
        return _result(asyncio.run(ledger_agrees(fineract, warehouse.psycopg, config.scope())))

    return ledger_agrees_check


def _complete(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"{asset.key.to_python_identifier()}_{COMPLETE}",
        specs=[
            dg.AssetCheckSpec(
                COMPLETE,
                asset=asset,
                description="The posting run got through all it was to post. Where it did not, the "
                "run fails with the reason; no payment is marked failed, and the rest stays "
                "queued.",
            )
        ],
    )
    def posting_complete(
        context: dg.AssetCheckExecutionContext,
    ) -> Iterator[dg.AssetCheckResult]:
        told = _told_of_run(context, asset.key)
        said = told.get(NOT_COMPLETE)
        why = str(said.value) if said else None
        answered = {ANSWERED: told[ANSWERED]} if ANSWERED in told else {}
        yield dg.AssetCheckResult(passed=not why, description=why, metadata=answered)
        # In a step of its own: the run fails, and the other checks are done all the same.
        if why:
            raise dg.Failure(why, allow_retries=False)

    return posting_complete


def _told_of_run(
    context: dg.AssetCheckExecutionContext, key: dg.AssetKey
) -> Mapping[str, dg.MetadataValue[Any]]:
    """What this run's materialization says, or the latest where only the check is run."""
    events = context.instance.all_logs(
        context.run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    own = [e.asset_materialization for e in events if e.asset_materialization]
    found = next((m for m in own if m.asset_key == key), None)
    if found is None:
        latest = context.instance.get_latest_materialization_event(key)
        found = latest.asset_materialization if latest else None
    return found.metadata if found else {}


posted_once = _posted_once(posted_repayments)
reconciled_once = _posted_once(reconciled_repayments)
posted_in_ledger = _stands_in_ledger(posted_repayments)
reconciled_in_ledger = _stands_in_ledger(reconciled_repayments)
posted_all = _complete(posted_repayments)
reconciled_all = _complete(reconciled_repayments)


@dg.asset_check(
    asset=posted_repayments,
    description="Every eligible payment of the latest dbt runs is posted or on the list of open "
    "work, never both; every night all of history is asked.",
)
def nothing_unaccounted(
    warehouse: dg.ResourceParam[DatabaseUrls],
) -> dg.AssetCheckResult:
    return _result(proof.nothing_new_unaccounted(warehouse.psycopg))


@dg.asset_check(
    asset=posted_repayments,
    description="Every report of the latest dbt runs has a payment, nothing is held without a "
    "question, and every question that the facts call for is open or was answered; every night all "
    "of history is asked.",
)
def nothing_silent(warehouse: dg.ResourceParam[DatabaseUrls]) -> dg.AssetCheckResult:
    return _result(nothing_new_silent(warehouse.psycopg))


def _result(proven: Proof) -> dg.AssetCheckResult:
    shown = proven.findings[:FINDINGS_SHOWN]
    return dg.AssetCheckResult(
        passed=proven.holds,
        metadata={
            "checked": proven.checked,
            "violations": len(proven.findings),
            "findings": dg.MetadataValue.md("\n".join(f"* {text}" for text in shown) or "none"),
        },
    )
