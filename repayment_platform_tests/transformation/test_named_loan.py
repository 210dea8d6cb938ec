"""A loan that a person named can be named anew, as long as nobody else has named one."""

import pytest

from repayment_platform.exceptions.queue import open_questions
from repayment_platform.reconciliation.loans import NotMappable, map_loan
from repayment_platform_tests.transformation.platform import Platform
from repayment_platform_tests.transformation.test_recon_record import GATEWAY, captured
from repayment_platform_tests.transformation.test_returns import only
from repayment_platform_tests.transformation.warehouse import Row, Warehouse

WRONG, RIGHT = "UGRO-LN-9", "UGRO-LN-10"


def named(models: Warehouse, loan: str) -> Row:
    """The payment after a person named its loan and dbt ran."""
    row = only(models.build())
    map_loan(models.connection, row["source_key"], loan, "asha", "the borrower called")
    return only(models.build())


def test_a_payment_that_was_never_sent_gets_the_key_of_the_right_loan(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", None))
    wrong = named(models, WRONG)
    right = named(models, RIGHT)

    assert (wrong["loan_external_id"], right["loan_external_id"]) == (WRONG, RIGHT)
    assert right["source_key"] != wrong["source_key"]
    assert right["is_success"]
    # The former key is never given to anything again.
    models.event(GATEWAY, captured("pay_2", WRONG))
    keys = {row["source_key"] for row in models.build()}
    assert right["source_key"] in keys
    assert wrong["source_key"] not in keys
    assert len(keys) == 2


def test_the_same_key_is_not_taken_twice_when_the_former_loan_is_right_after_all(
    models: Warehouse,
) -> None:
    models.event(GATEWAY, captured("pay_1", None))
    first = named(models, WRONG)
    named(models, RIGHT)
    again = named(models, WRONG)
    assert again["loan_external_id"] == WRONG
    assert again["source_key"] != first["source_key"]


def test_what_reports_name_themselves_no_person_names_anew(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", WRONG))
    row = only(models.build())
    with pytest.raises(NotMappable, match=f"is known: {WRONG}"):
        map_loan(models.connection, row["source_key"], RIGHT, "asha", "no")


def test_a_payment_without_a_reference_is_named_by_its_row(models: Warehouse) -> None:
    models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref=None, umrn="U1")
    row = named(models, "ARTH-LN-123456")
    assert (row["loan_external_id"], row["key_rule"]) == ("ARTH-LN-123456", "new")
    right = named(models, "ARTH-LN-123457")
    assert right["loan_external_id"] == "ARTH-LN-123457"
    assert right["source_key"] != row["source_key"]


def test_between_the_correction_and_the_run_the_payment_is_held(platform: Platform) -> None:
    models = platform.models
    models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref=None, umrn="U1")
    wrong = named(models, "ARTH-LN-123456")
    map_loan(models.connection, wrong["source_key"], "ARTH-LN-123457", "asha", "a slip")
    (question,) = open_questions(models.connection)
    assert (question.kind, question.holds) == ("loan_corrected", True)


def test_a_posted_payment_keeps_its_key_and_asks_to_be_undone(platform: Platform) -> None:
    models = platform.models
    platform.sandbox.post(
        "loans", [{"externalId": "ARTH-LN-123456"}, {"externalId": "ARTH-LN-123457"}]
    )
    models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref=None, umrn="U1")
    wrong = named(models, "ARTH-LN-123456")
    platform.run()
    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-123456"]
    right = named(models, "ARTH-LN-123457")
    platform.run()

    assert right["source_key"] == wrong["source_key"]
    (question,) = open_questions(models.connection)
    assert question.kind == "changed_after_posting"
    assert "ARTH-LN-123457" in question.what
    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-123456"]
