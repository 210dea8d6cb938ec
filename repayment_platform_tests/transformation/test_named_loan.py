"""A payment whose loan no report names: a person names it, and may name another."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from repayment_platform.exceptions.decisions import NotOfItsKind, decide, hold
from repayment_platform.exceptions.gone import MADE_OF
from repayment_platform.exceptions.kinds import Decision
from repayment_platform.exceptions.naming import NotMappable, map_loan
from repayment_platform.exceptions.queue import open_questions
from repayment_platform.posting.guards import set_guards
from repayment_platform.posting.proof import nothing_unaccounted
from repayment_platform.posting.runner import run_posting
from repayment_platform.sources.keys import source_key as key_of
from repayment_platform_tests import dbt_once
from repayment_platform_tests.transformation.platform import AUTOMATED, Platform
from repayment_platform_tests.transformation.test_observations import CASHFREE, sample
from repayment_platform_tests.transformation.test_recon_record import GATEWAY, captured
from repayment_platform_tests.transformation.test_returns import only
from repayment_platform_tests.transformation.warehouse import Row, Warehouse


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


def test_a_payment_that_names_no_loan_is_asked_about_until_a_person_names_it(
    platform: Platform,
) -> None:
    models = platform.models
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}])
    models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref=None, umrn="U1")
    platform.run()
    [question] = open_questions(models.connection)
    assert (question.kind, question.holds) == ("loan_unknown", False)
    with pytest.raises(NotOfItsKind, match="'LN 7' is no loan id of ARTHMATE"):
        decide(models.connection, question.id, Decision.NAME_LOAN, "asha", "why", loan="ln 7")
    assert [each.id for each in open_questions(models.connection)] == [question.id]

    decide(models.connection, question.id, Decision.NAME_LOAN, "asha", "why", loan="arth-ln-7")
    assert open_questions(models.connection) == []
    platform.run()
    assert open_questions(models.connection) == []
    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-7"]


@pytest.mark.parametrize("word", ["a report's", "a person's"])
def test_what_was_dealt_with_elsewhere_is_not_posted_unasked_when_a_report_names_its_loan(
    platform: Platform, word: str
) -> None:
    """It may have been entered in Fineract by hand."""
    models = platform.models
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}])
    models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref="R1", umrn="U1")
    platform.run()
    [question] = open_questions(models.connection)
    decide(models.connection, question.id, Decision.LEAVE, "asha", "entered by hand")
    key = only(models.core())["source_key"]
    if word == "a person's":
        map_loan(models.connection, key, "ARTH-LN-7", "asha", "it was not entered after all")
        platform.run()
        assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-7"]
        return
    models.file_row("RAW_ARTHMATE_NACH_CSV", "ARTH-LN-7", ref="R1", umrn="U1")
    platform.run()
    assert platform.ledger() == []
    [question] = open_questions(models.connection)
    assert (question.kind, question.holds) == ("by_hand", True)
    assert question.what == "it named no loan, and asha dealt with it elsewhere: entered by hand"

    decide(models.connection, question.id, Decision.RELEASE, "asha", "it was not", question.seen)
    platform.run()
    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-7"]


# ── named anew ──────────────────────────────────────────────────────────────────────────────


WRONG, RIGHT = "UGRO-LN-9", "UGRO-LN-10"


def named(models: Warehouse, loan: str, key: str | None = None) -> Row:
    """The payment, after a person named its loan and dbt ran."""
    key = key or only(models.build())["source_key"]
    map_loan(models.connection, key, loan, "asha", "the borrower called")
    return only(models.build())


def test_a_payment_that_was_never_sent_gets_the_key_of_the_right_loan(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", None))
    wrong = named(models, WRONG)
    right = named(models, RIGHT)
    assert (wrong["loan_external_id"], right["loan_external_id"]) == (WRONG, RIGHT)
    assert right["source_key"] == key_of("UGRO", RIGHT, right["payment_date"], right["amount"])

    # The former key is never given to anything again.
    models.event(GATEWAY, captured("pay_2", WRONG))
    keys = {row["source_key"] for row in models.build()}
    assert right["source_key"] in keys
    assert wrong["source_key"] not in keys
    assert len(keys) == 2


def test_the_former_loan_can_be_the_right_one_after_all(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", None))
    first = named(models, WRONG)
    named(models, RIGHT)
    again = named(models, WRONG)
    assert (again["loan_external_id"], again["is_success"]) == (WRONG, True)
    assert again["source_key"] != first["source_key"]


def test_what_reports_name_themselves_no_person_names_anew(models: Warehouse) -> None:
    models.event(GATEWAY, captured("pay_1", WRONG))
    row = only(models.build())
    with pytest.raises(NotMappable, match=f"is known: {WRONG}"):
        map_loan(models.connection, row["source_key"], RIGHT, "asha", "no")


def test_each_word_on_its_reports_is_corrected(models: Warehouse) -> None:
    """A link's event bears the order, the payment's own event both."""
    link, paid = sample("cashfree_payment_link_event"), sample("cashfree_payment_success")
    link["data"] |= {"link_notes": {}, "link_id": "x"}
    paid["data"]["order"] |= {"order_id": link["data"]["order"]["order_id"], "order_tags": None}
    models.event(CASHFREE, link)
    named(models, "GB-LN-00009")
    models.event(CASHFREE, paid)
    key = only(models.build())["source_key"]
    row = named(models, "GB-LN-00010", key)
    assert (row["loan_external_id"], row["observations"]) == ("GB-LN-00010", 2)


def test_a_word_on_an_order_is_corrected_for_each_of_its_payments(models: Warehouse) -> None:
    link = sample("cashfree_payment_link_event")
    link["data"] |= {"link_notes": {}, "link_id": "x"}
    order = {"order_id": link["data"]["order"]["order_id"], "order_tags": None}
    models.event(CASHFREE, link)
    named(models, "GB-LN-00009")
    for payment in ("51", "52"):
        paid = sample("cashfree_payment_success")
        paid["data"]["order"] |= order
        paid["data"]["payment"]["cf_payment_id"] = payment
        models.event(CASHFREE, paid)
        models.build()
    first, second = models.core()
    map_loan(models.connection, second["source_key"], "GB-LN-00010", "asha", "a slip")
    corrected = {
        each.source_key
        for each in open_questions(models.connection)
        if each.kind == "loan_corrected"
    }
    assert corrected == {first["source_key"], second["source_key"]}

    assert {row["loan_external_id"] for row in models.build()} == {"GB-LN-00010"}
    loans = {row["loan_external_id"] for row in models.rebuilt()}
    assert loans == {"GB-LN-00010"}


def test_said_back_while_dbt_takes_it_up_a_person_is_told_to_look_again(
    platform: Platform,
) -> None:
    """Its key is retired at that moment, and it is another payment."""
    models = platform.models
    row = paused(platform, "ARTH-LN-7")
    map_loan(models.connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    with psycopg.connect(models.urls.psycopg) as dbt, ThreadPoolExecutor(1) as person:
        for statement in dbt_once.statements(models.urls):
            dbt.execute(statement)
        said = person.submit(_map, models, row["source_key"], "ARTH-LN-7")
        _wait_for_a_lock(models)
        dbt.commit()
        with pytest.raises(NotMappable, match="there is no payment"):
            said.result()
    mapped = models.rows('SELECT loan_external_id FROM "CORE"."CORE_LOAN_MAPPING"')
    assert mapped == [{"loan_external_id": only(models.core())["loan_external_id"]}]


def _map(models: Warehouse, key: str, loan: str) -> None:
    with psycopg.connect(models.urls.psycopg, autocommit=True) as connection:
        map_loan(connection, key, loan, "asha", "it was right")


def _wait_for_a_lock(models: Warehouse) -> None:
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    while not models.connection.execute(waits, (models.urls.dbname,)).rowcount:
        time.sleep(0.01)


def paused(platform: Platform, loan: str, **columns: str) -> Row:
    """Arthmate's payment that is named and not posted yet."""
    set_guards(platform.models.connection, "ARTHMATE", {"paused": True}, "asha")
    columns = {"umrn": "U1"} | columns
    platform.models.file_row("RAW_ARTHMATE_NACH_CSV", None, ref=None, **columns)
    row = named(platform.models, loan)
    platform.run()
    return row


def resumed(platform: Platform) -> list[str]:
    """The loans that were posted to after a run."""
    set_guards(platform.models.connection, "ARTHMATE", {"paused": False}, "asha")
    platform.run()
    return [loan for loan, _ in platform.ledger()]


def test_between_the_correction_and_the_run_of_dbt_nothing_is_posted(platform: Platform) -> None:
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}, {"externalId": "ARTH-LN-8"}])
    row = paused(platform, "ARTH-LN-7")
    map_loan(platform.models.connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    [question] = open_questions(platform.models.connection)
    assert (question.kind, question.holds) == ("loan_corrected", True)
    set_guards(platform.models.connection, "ARTHMATE", {"paused": False}, "asha")
    run_posting(platform.settings, platform.models.urls.psycopg, AUTOMATED, "without-dbt")
    assert platform.ledger() == []

    assert resumed(platform) == ["ARTH-LN-8"]
    assert open_questions(platform.models.connection) == []
    assert nothing_unaccounted(platform.models.urls.psycopg).findings == []


def test_said_back_before_the_run_it_is_as_it_was(platform: Platform) -> None:
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}, {"externalId": "ARTH-LN-8"}])
    row = paused(platform, "ARTH-LN-7")
    for loan in ("ARTH-LN-8", "ARTH-LN-7"):
        map_loan(platform.models.connection, row["source_key"], loan, "asha", "a slip")
    assert open_questions(platform.models.connection) == []
    assert resumed(platform) == ["ARTH-LN-7"]
    assert only(platform.models.core())["source_key"] == row["source_key"]


def test_what_was_held_is_held_under_the_key_of_the_right_loan(platform: Platform) -> None:
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-8"}])
    connection = platform.models.connection
    row = paused(platform, "ARTH-LN-7")
    hold(connection, row["source_key"], "asha", "it may be a fraud")
    map_loan(connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    assert resumed(platform) == []
    [question] = open_questions(connection)
    assert (question.kind, question.loan) == ("by_hand", "ARTH-LN-8")
    decide(connection, question.id, Decision.RELEASE, "asha", "it is none", question.seen)
    assert resumed(platform) == ["ARTH-LN-8"]


def test_what_was_ruled_out_is_asked_anew_under_the_key_of_the_right_loan(
    platform: Platform,
) -> None:
    connection = platform.models.connection
    row = paused(platform, "ARTH-LN-7")
    hold(connection, row["source_key"], "asha", "it may be none")
    [question] = open_questions(connection)
    decide(connection, question.id, Decision.NOT_A_REPAYMENT, "asha", "a deposit")
    platform.run()
    map_loan(connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    assert resumed(platform) == []
    [question] = open_questions(connection)
    assert (question.kind, question.loan) == ("ruled_out_before", "ARTH-LN-8")


def test_what_was_ruled_is_not_said_of_another_payment_that_it_joins(platform: Platform) -> None:
    connection, money = platform.models.connection, {"utr": "ICIC1", "umrn": "U1"}
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-8"}])
    row = paused(platform, "ARTH-LN-7", **money, presentation_date="2025-11-05")
    hold(connection, row["source_key"], "asha", "it may be none")
    [question] = open_questions(connection)
    decide(connection, question.id, Decision.NOT_A_REPAYMENT, "asha", "a deposit")
    platform.models.file_row(
        "RAW_ARTHMATE_NACH_CSV", "ARTH-LN-8", ref=None, presentation_date="2025-11-05", **money
    )
    platform.run()
    for question in open_questions(connection):
        decide(connection, question.id, Decision.RELEASE, "asha", "it is one", question.seen)
    assert resumed(platform) == ["ARTH-LN-8"]

    map_loan(connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    platform.run()
    [payment] = platform.models.core()
    assert (payment["is_success"], payment["observations"]) == (True, 2)
    assert open_questions(connection) == []


def test_a_posted_payment_keeps_its_key_and_asks_to_be_undone(platform: Platform) -> None:
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}, {"externalId": "ARTH-LN-8"}])
    row = paused(platform, "ARTH-LN-7")
    assert resumed(platform) == ["ARTH-LN-7"]
    map_loan(platform.models.connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    platform.run()
    [question] = open_questions(platform.models.connection)
    assert (question.kind, question.source_key) == ("changed_after_posting", row["source_key"])
    assert "ARTH-LN-8" in question.what

    # A later report that names the right loan is of it, not another payment.
    platform.models.file_row("RAW_ARTHMATE_NACH_CSV", "ARTH-LN-8", ref=None, umrn="U1",
                             presentation_date="2025-11-05")  # fmt: skip
    platform.run()
    assert only(platform.models.core())["observations"] == 2
    assert resumed(platform) == ["ARTH-LN-7"]


def test_another_payment_of_the_former_loan_gets_a_key_of_its_own(platform: Platform) -> None:
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}, {"externalId": "ARTH-LN-8"}])
    models = platform.models
    row = paused(platform, "ARTH-LN-7")
    assert resumed(platform) == ["ARTH-LN-7"]
    map_loan(models.connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    platform.run()

    # Of the same amount and day.
    models.file_row("RAW_ARTHMATE_NACH_CSV", "ARTH-LN-7", ref=None, umrn="U2")
    platform.run()
    other = next(each for each in models.core() if each["source_key"] != row["source_key"])
    made_of = "ARTHMATE", "ARTH-LN-7", other["payment_date"], other["amount"]
    assert row["source_key"] == key_of(*made_of)
    assert other["source_key"] == key_of(*made_of, 1)
    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-7", "ARTH-LN-7"]

    # Posted again it bears an external id that no key of the right loan is made of.
    found = models.connection.execute(MADE_OF, (row["source_key"],)).fetchone()
    assert found == (*made_of, 0)


def test_after_a_restore_a_corrected_payment_is_not_posted_beside_what_was_forgotten(
    platform: Platform,
) -> None:
    platform.sandbox.post("loans", [{"externalId": "ARTH-LN-7"}, {"externalId": "ARTH-LN-8"}])
    connection = platform.models.connection
    row = paused(platform, "ARTH-LN-7")
    assert resumed(platform) == ["ARTH-LN-7"]
    # As a backup that is older than this posting, and younger than another.
    for statement in (
        'DELETE FROM "CORE"."CORE_TRANSACTION_DATA_PROCESSED"',
        'DELETE FROM "CORE"."CORE_POSTING_ATTEMPT"',
        'UPDATE "CORE"."CORE_WORK_FEED" SET batch = 0',
        """UPDATE "CORE"."CORE_LEDGER_IDENTITY" SET first_course = 'before the restore'""",
    ):
        connection.execute(statement)

    map_loan(connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    platform.run()
    platform.run()

    assert [loan for loan, _ in platform.ledger()] == ["ARTH-LN-7"]
    [question] = open_questions(connection)
    assert (question.kind, question.source_key) == ("ledger_differs", row["source_key"])


def test_what_the_system_before_posted_keeps_its_key(platform: Platform) -> None:
    connection = platform.models.connection
    row = paused(platform, "ARTH-LN-7")
    connection.execute(
        """INSERT INTO "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (source_key, source_lender, status,
               loan_external_id, payment_date, amount, run_id)
           SELECT source_key, source_lender, 'success', loan_external_id, payment_date, amount,
                  'imported'
           FROM "CORE"."CORE_TRANSACTION_DATA"
        """
    )
    map_loan(connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
    assert resumed(platform) == []
    assert only(platform.models.core())["source_key"] == row["source_key"]
    assert [each.kind for each in open_questions(connection)] == ["changed_after_posting"]


def test_a_payment_on_its_way_to_fineract_is_named_anew_later(platform: Platform) -> None:
    row = paused(platform, "ARTH-LN-7")
    connection = platform.models.connection
    connection.execute("""UPDATE "CORE"."CORE_OPEN_WORK" SET state = 'sending'""")
    with pytest.raises(NotMappable, match="on its way to Fineract"):
        map_loan(connection, row["source_key"], "ARTH-LN-8", "asha", "a slip")
