"""The preview: what would be posted, what is left out and why."""

from datetime import date
from typing import Any

import psycopg
import pytest

from repayment_platform.reconciliation.preview import Excluded, LenderSum, NotBuilt, preview
from repayment_platform.reconciliation.selection import BadSelection, Selection
from repayment_platform.warehouse.urls import DatabaseUrls
from repayment_platform_tests.reconciliation.conftest import DAY, Desk


def reasons(found: list[Excluded]) -> dict[str, int]:
    return {line.reason: line.payments for line in found}


def test_the_preview_counts_what_it_would_post_and_says_what_it_leaves_out(desk: Desk) -> None:
    desk.payment("UGRO-LN-1", "1.10")
    desk.payment("UGRO-LN-2", "2.20", status="gateway_only")
    desk.posted(desk.payment("UGRO-LN-3"))
    desk.posted(desk.payment("UGRO-LN-8"), "undone")
    desk.held(desk.payment("UGRO-LN-4"))
    desk.held(desk.payment("UGRO-LN-6"), decision="same_payment")
    desk.held(desk.payment("UGRO-LN-7", "1.00"), decision="release")
    desk.payment("UGRO-LN-5", is_success=False, not_repayment_reason="refunded")
    desk.payment("GB-LN-1", lender="GB", source="CASHFREE")
    seen = preview(desk.connection, Selection(lender="UGRO"))
    assert (seen.count, str(seen.rupees)) == (3, "4.30")
    assert [line.lender for line in seen.by_lender] == ["UGRO"]
    assert reasons(seen.excluded) == {
        "posted already": 1,
        "undone in the ledger: to be posted again first": 1,
        "held: over limit": 1,
        "ruled out: same payment": 1,
        "no repayment: refunded": 1,
    }
    assert seen.warnings == ["1 of them: no settlement or lender file confirms it yet"]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"recon_source": "NACH"}, 1),
        ({"first_day": date(2025, 11, 21)}, 1),
        ({"last_day": DAY}, 2),
        ({"match_status": "matched"}, 2),
        ({"loan": "UGRO-LN-2"}, 1),
    ],
)
def test_each_filter_chooses(desk: Desk, filters: dict[str, Any], count: int) -> None:
    desk.payment("UGRO-LN-1", source="NACH")
    desk.payment("UGRO-LN-2", status="gateway_only")
    desk.payment("UGRO-LN-3", day=date(2025, 11, 21))
    assert preview(desk.connection, Selection(lender="UGRO", **filters)).count == count


def test_picked_keys_that_cannot_be_posted_are_told_of(desk: Desk) -> None:
    good = desk.payment("UGRO-LN-1")
    other = desk.payment("GB-LN-1", lender="GB", source="CASHFREE")
    automated = desk.payment("DMI-APP-1", lender="DMI", source=None)
    keys = (good, good, other, automated, "0" * 32)
    seen = preview(desk.connection, Selection(lender="UGRO", keys=keys))
    assert seen.by_lender == [LenderSum("UGRO", 1, seen.rupees)]
    assert reasons(seen.excluded) == {
        "not within the filters": 1,
        "of a lender that is posted automatically": 1,
        "unknown payment": 1,
    }


def test_the_digest_names_the_payments_with_their_facts(desk: Desk) -> None:
    key = desk.payment()
    chosen = Selection(lender="UGRO")
    first = preview(desk.connection, chosen).digest
    assert preview(desk.connection, Selection(keys=(key,))).digest == first
    desk.change(key, payment_date=date(2025, 11, 19))
    assert preview(desk.connection, chosen).digest != first
    assert len(first) == 64


def test_what_cannot_be_sent_now_is_left_out(desk: Desk) -> None:
    for n, state in enumerate(("unknown", "awaiting_approval", "failed"), 1):
        desk.payment(f"UGRO-LN-{n}")
        desk.connection.execute(
            """INSERT INTO "CORE"."CORE_OPEN_WORK" (source_key, source_lender, loan_external_id,
                   payment_date, amount, state, reason)
               SELECT source_key, source_lender, loan_external_id, payment_date, amount, %s, ''
               FROM "CORE"."CORE_TRANSACTION_DATA" WHERE loan_external_id = %s""",
            (state, f"UGRO-LN-{n}"),
        )
    seen = preview(desk.connection, Selection(lender="UGRO"))
    assert seen.count == 1
    assert reasons(seen.excluded) == {
        "a request to Fineract is under way or in doubt": 1,
        "awaits approval in Fineract": 1,
    }


def test_a_paused_lender_and_days_of_the_former_system_are_left_out(desk: Desk) -> None:
    desk.payment()
    desk.payment("GB-LN-1", lender="GB", source="CASHFREE")
    desk.connection.execute(
        """INSERT INTO "CORE"."CORE_LENDER_SETTING" (source_lender, paused, paused_why, post_from)
           VALUES ('UGRO', true, 'audit', NULL), ('GB', false, NULL, '2026-01-01')"""
    )
    assert reasons(preview(desk.connection, Selection(lender="UGRO")).excluded) == {
        "lender paused: audit": 1
    }
    assert reasons(preview(desk.connection, Selection(lender="GB")).excluded) == {
        "paid before 2026-01-01, the first day posted from here": 1
    }


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(), "nothing is selected"),
        (Selection(lender="ACME"), "'ACME' is unknown"),
        (Selection(lender="DMI"), "'DMI' is posted automatically"),
        (Selection(lender="GB", recon_source="RAZORPAY"), "known: CASHFREE, NACH"),
        (Selection(lender="GB", first_day=DAY, last_day=date(2025, 1, 1)), "range is reversed"),
        (Selection(lender="GB", match_status="nearly"), "unknown match status"),
        (Selection(keys=("abc",)), "'abc' is no source key"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused_in_words(
    selection: Selection, said: str
) -> None:
    with pytest.raises(BadSelection, match=said):
        selection.validate()


def test_without_core_the_preview_says_to_run_dbt(migrated_urls: DatabaseUrls) -> None:
    with (
        psycopg.connect(migrated_urls.psycopg) as connection,
        pytest.raises(NotBuilt, match="run dbt first"),
    ):
        preview(connection, Selection(lender="GB"))
