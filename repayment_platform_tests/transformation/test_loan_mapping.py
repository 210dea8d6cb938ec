"""A payment without a loan: candidates with their evidence, an operator's word, and dbt's run."""

import pytest

from repayment_platform.exceptions.naming import NotMappable, map_loan
from repayment_platform.reconciliation.loans import candidates
from repayment_platform.reconciliation.preview import preview
from repayment_platform.reconciliation.selection import Selection
from repayment_platform_tests.transformation.test_recon_record import (
    GATEWAY,
    captured,
    records,
    settled,
)
from repayment_platform_tests.transformation.warehouse import Warehouse


def test_candidates_come_with_what_speaks_for_them_the_strongest_first(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_upi", "UGRO-LN-000001", vpa="Asha@okbank"))
    payer = {"vpa": "asha@okbank", "customer_id": "cust_1"}
    models.event(
        GATEWAY, captured("pay_all", "UGRO-LN-000002", 5, contact="+919000000001", **payer)
    )
    models.event(GATEWAY, captured("pay_text", "UGRO-LN-000345", 7))
    models.event(GATEWAY, captured("pay_other", "UGRO-LN-000004", 8, contact="9000000002"))
    nobody = captured("pay_x", None, contact="9000000001", description="EMI of loan 345", **payer)
    models.event(GATEWAY, nobody)
    models.file_row("RAW_GB_NACH_CSV", "GB-LN-1", ref="nach-gb:1")
    unknown = records(models)["pay_x"]["source_key"]
    found = candidates(models.connection, unknown)
    assert [(each.loan, each.evidence) for each in found] == [
        (
            "UGRO-LN-000345",
            ("its number stands in the payment's own texts",),
        ),
        (
            "UGRO-LN-000002",
            (
                "paid by the same customer of the gateway",
                "paid from the same UPI address",
                "paid with the same phone number",
            ),
        ),
        ("UGRO-LN-000001", ("paid from the same UPI address", "paid the same amount before")),
    ]


def test_a_mandate_points_to_the_loans_it_paid_before(models: Warehouse) -> None:
    models.file_row("RAW_GB_NACH_CSV", "GB-LN-1", ref="nach-gb:1", umrn="U1")
    models.file_row("RAW_GB_NACH_CSV", None, "5.00", ref="nach-gb:2", umrn="U1")
    (found,) = candidates(models.connection, records(models)["2"]["source_key"])
    assert (found.loan, found.evidence, found.payments) == (
        "GB-LN-1",
        ("paid under the same NACH mandate",),
        1,
    )


def test_a_mapped_payment_can_be_reconciled_after_the_next_run_of_dbt(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", None))
    settled(models, "pay_1", None)
    unknown = records(models)["pay_1"]
    assert unknown["match_status"] == "loan_unknown"
    seen = preview(models.connection, Selection(lender="UGRO"))
    assert (seen.count, seen.excluded[0].reason) == (0, "loan unknown")

    map_loan(models.connection, unknown["source_key"], "ugro-ln-9 ", "asha", "borrower called")

    mapped = records(models)
    assert list(mapped) == ["pay_1"]
    assert (mapped["pay_1"]["match_status"], mapped["pay_1"]["loan_external_id"]) == (
        "matched",
        "UGRO-LN-9",
    )
    assert preview(models.connection, Selection(lender="UGRO")).count == 1
    audited = models.rows(
        'SELECT who, action, subject FROM "CORE"."CORE_AUDIT_LOG" ORDER BY id DESC LIMIT 1'
    )
    assert audited == [{"who": "asha", "action": "loan.map", "subject": unknown["source_key"]}]


def test_a_mapping_that_makes_no_sense_is_refused(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", None))
    key = records(models)["pay_1"]["source_key"]
    with pytest.raises(NotMappable, match="'DMI-APP-1' is no loan id of UGRO"):
        map_loan(models.connection, key, "DMI-APP-1", "asha", "why")
    with pytest.raises(NotMappable, match="there is no payment"):
        map_loan(models.connection, "0" * 32, "UGRO-LN-1", "asha", "why")
    assert models.rows('SELECT * FROM "CORE"."CORE_LOAN_MAPPING"') == []
