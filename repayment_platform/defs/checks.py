"""Asset checks that prove, after every run, that nothing was posted twice or forgotten.

What belongs here: turning proofs into check results. What does not: the proofs (`posting.proof`,
`posting.ledger_proof`), tests of single models (dbt).
"""

import asyncio
from datetime import date

import dagster as dg
from pydantic import Field

from repayment_platform.defs.posting import posted_repayments
from repayment_platform.defs.reconciliation import reconciled_repayments
from repayment_platform.posting import proof
from repayment_platform.posting.ledger_proof import ledger_agrees
from repayment_platform.posting.ledger_scope import LedgerScope
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls


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
        name="ledger_agrees",
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


posted_once = _posted_once(posted_repayments)
reconciled_once = _posted_once(reconciled_repayments)
posted_in_ledger = _stands_in_ledger(posted_repayments)
reconciled_in_ledger = _stands_in_ledger(reconciled_repayments)


@dg.asset_check(
    asset=posted_repayments,
    description="Every eligible payment of the latest dbt runs is posted or on the list of open "
    "work, never both; every night all of history is asked.",
)
def nothing_unaccounted(
    warehouse: dg.ResourceParam[DatabaseUrls],
) -> dg.AssetCheckResult:
    return _result(proof.nothing_new_unaccounted(warehouse.psycopg))


def _result(proven: proof.Proof) -> dg.AssetCheckResult:
    shown = proven.findings[: proof.FINDINGS_SHOWN]
    return dg.AssetCheckResult(
        passed=proven.holds,
        metadata={
            "checked": proven.checked,
            "violations": len(proven.findings),
            "findings": dg.MetadataValue.md("\n".join(f"* {text}" for text in shown) or "none"),
        },
    )
