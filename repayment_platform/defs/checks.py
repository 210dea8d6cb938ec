"""Asset checks that prove, after every run, that nothing was posted twice or forgotten.

What belongs here: turning proofs into check results. What does not: the proofs
(`posting.proof`), tests of single models (dbt).
"""

import asyncio

import dagster as dg

from repayment_platform.defs.posting import posted_repayments
from repayment_platform.posting import proof
from repayment_platform.settings import Settings
from repayment_platform.warehouse.urls import DatabaseUrls


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


@dg.asset_check(
    asset=posted_repayments,
    description="No source_key and no payment reference has two successes, in the outcomes or "
    "the attempts; the unique indexes that guard this stand.",
)
def no_source_key_posted_twice(
    warehouse: dg.ResourceParam[DatabaseUrls],
) -> dg.AssetCheckResult:
    return _result(proof.nothing_recorded_twice(warehouse.psycopg))


@dg.asset_check(
    asset=posted_repayments,
    description="What this run posted (or the latest postings) stands in Fineract's ledger "
    "exactly once, and no twin of it that we did not post.",
)
def posted_once_in_ledger(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[DatabaseUrls],
    fineract: dg.ResourceParam[Settings],
) -> dg.AssetCheckResult:
    proven = proof.posted_once_in_ledger(fineract, warehouse.psycopg, context.run.run_id)
    return _result(asyncio.run(proven))


@dg.asset_check(
    asset=posted_repayments,
    description="Every eligible payment is posted or on the list of open work, never both.",
)
def every_eligible_row_accounted_for(
    warehouse: dg.ResourceParam[DatabaseUrls],
) -> dg.AssetCheckResult:
    return _result(proof.nothing_unaccounted(warehouse.psycopg))
