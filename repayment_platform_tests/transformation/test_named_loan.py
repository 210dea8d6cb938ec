"""The loan of a payment that bears no reference is named by the row that tells of it."""

import pytest

from repayment_platform.reconciliation.loans import NotMappable, map_loan
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_returns import only


def test_a_payment_without_a_reference_is_named_by_its_row_and_posted(platform: Platform) -> None:
    models = platform.models
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}])
    models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref=None, umrn="U1")
    key = only(models.build())["source_key"]
    for loan in ("ARTH-LN-8", "ARTH-LN-7"):  # said again before the run, the later word counts
        map_loan(models.connection, key, loan, "asha", "the borrower called")
    platform.run()

    row = only(models.build())
    assert (row["loan_external_id"], row["key_rule"]) == ("ARTH-LN-7", "new")
    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-7"]
    with pytest.raises(NotMappable, match="is known: ARTH-LN-7"):
        map_loan(models.connection, row["source_key"], "ARTH-LN-8", "asha", "no")
