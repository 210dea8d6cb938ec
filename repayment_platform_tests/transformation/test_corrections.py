"""From a corrected file, or a corrected mapping, to CORE, the list of open work and the ledger."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from repayment_platform.sources import registry
from repayment_platform.sources.layouts import Column
from repayment_platform_tests.sources.reading import NACH
from repayment_platform_tests.transformation.platform import Platform, loan


def test_a_payment_corrected_before_it_was_posted_is_posted_once_as_corrected(
    platform: Platform,
) -> None:
    first = platform.land(loan(1, ""), loan(2, "B"), loan(3, ""))
    before = {each["loan_external_id"]: each["source_key"] for each in platform.models.build()}
    platform.land(loan(1, "", Amount="501"), loan(2, "B"), supersedes=first.file_id)
    core = platform.run()

    assert {name: each["source_key"] for name, each in core.items()} == before
    assert (core["DMI-APP-3"]["is_success"], core["DMI-APP-3"]["outcome"]) == (False, "withdrawn")
    assert platform.ledger() == [("DMI-APP-1", "501.00"), ("DMI-APP-2", "500.00")]
    assert platform.table("CORE_OPEN_WORK") == []
    assert platform.table("CORE_EXCEPTION") == []


def test_what_was_posted_becomes_an_exception_and_is_never_posted_again(
    platform: Platform,
) -> None:
    """Withdrawn, another amount, another loan, another reference; and one that stays as it is."""
    rows = [loan(1, "A"), loan(2, ""), loan(3, ""), loan(4, "D"), loan(5, "E")]
    first = platform.land(*rows)
    posted = platform.run()
    before = platform.ledger()
    assert len(before) == 5

    other_loan = loan(3, "")
    other_loan[0] = "DMI-APP-6"
    corrected = [loan(2, "", Amount="501"), other_loan, loan(4, "D2"), loan(5, "E")]
    preview = platform.land(*corrected, supersedes=first.file_id, preview=True)
    assert preview.changes
    told = {(c.old.loan_ref, c.posting, c.becomes_exception)
            for c in preview.changes.examples if c.old}  # fmt: skip
    assert told == {
        ("DMI-APP-1", "posted", True), ("DMI-APP-2", "posted", True),
        ("DMI-APP-3", "posted", True), ("DMI-APP-4", "posted", False),
    }  # fmt: skip
    assert preview.changes.exceptions == 3
    keys = {c.source_key for c in preview.changes.examples if c.becomes_exception}

    platform.land(*corrected, supersedes=first.file_id)
    platform.run()
    platform.run()
    exceptions = platform.table("CORE_EXCEPTION")
    assert {each["source_key"] for each in exceptions} == keys
    assert all(each["kind"].endswith("_after_posting") for each in exceptions)
    assert keys == {posted[f"DMI-APP-{n}"]["source_key"] for n in (1, 2, 3)}
    assert platform.ledger() == before
    assert platform.table("CORE_OPEN_WORK") == []


def test_a_corrected_file_is_not_posted_a_second_time_under_another_name(
    platform: Platform,
) -> None:
    first = platform.land(loan(1, ""), loan(1, "", Settlement_Date="07/11/2025"))
    platform.run()
    before = platform.ledger()
    platform.land(loan(1, "", Settlement_Date="07/11/2025"), loan(1, ""), supersedes=first.file_id)
    platform.run()
    assert platform.ledger() == before
    assert platform.table("CORE_EXCEPTION") == []


@pytest.fixture
def correct_mapping(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give fields of the source's layouts other columns."""

    def correct(**columns: Column) -> None:
        source = registry.SOURCES[NACH]
        layouts = tuple(
            replace(layout, columns={**layout.columns, **columns}) for layout in source.layouts
        )
        monkeypatch.setitem(registry.SOURCES, NACH, replace(source, layouts=layouts))

    return correct


def test_a_replay_posts_what_was_quarantined_and_nothing_twice(
    platform: Platform, correct_mapping: Callable[..., None]
) -> None:
    platform.land(loan(1, "A"), loan(2, "B", Settlement_Date="06|11|2025"))
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "500.00")]

    days = registry.SOURCES[NACH].layouts[0].columns["payment_date"]
    correct_mapping(payment_date=replace(days, date_formats=(*days.date_formats, "%d|%m|%Y")))
    assert platform.replay().changes.added == 1
    platform.run()
    assert platform.replay().changes.added == 0
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]
    assert platform.table("CORE_EXCEPTION") == []


def test_a_replay_that_reads_another_amount_corrects_what_waits_and_asks_about_what_is_posted(
    platform: Platform, correct_mapping: Callable[..., None]
) -> None:
    platform.land(loan(1, "", UTR="600"), loan(99, "", UTR="700"))  # nobody knows loan 99 yet
    platform.run()
    correct_mapping(amount=Column(("UTR",), required=True), utr=Column(("Reason",)))
    assert platform.replay().changes.changed == 2
    late = [{"externalId": "DMI-APP-99"}]
    platform.sandbox.post("loans", late)
    platform.run()

    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-99", "700.00")]
    assert [(each["kind"], each["closed_by"]) for each in platform.table("CORE_EXCEPTION")] == [
        ("refused", "CORE"), ("changed_after_posting", None),
    ]  # fmt: skip


def test_a_replay_of_webhooks_has_core_look_at_them_again(platform: Platform) -> None:
    """As if the event had been no JSON to us when it came."""
    event = {
        "event": "payment.captured",
        "payload": {
            "payment": {
                "entity": {
                    "id": "pay_1", "amount": 50000, "currency": "INR", "status": "captured",
                    "notes": {"loan_id": "UGRO-LN-1"}, "created_at": 1763521800,
                }
            }
        },
    }  # fmt: skip
    table = "RAW_UGRO_RAZORPAY_API"
    first = platform.models.event(table, event, event_id="evt_1")
    platform.models.connection.execute(f'UPDATE "RAW"."{table}" SET payload = NULL')
    platform.models.connection.execute(
        'INSERT INTO "CORE"."CORE_QUARANTINE" (raw_table, event_id, reason_code, reason, original)'
        " VALUES (%s, 'evt_1', 'NOT_JSON', '', '')",
        (table,),
    )
    assert platform.models.build() == []
    assert platform.replay(table, preview=True).changes.added == 1
    assert platform.models.build() == []
    result = platform.replay(table)
    assert (result.rows_read, result.changes.added, result.still_quarantined) == (1, 1, 0)
    [payment] = platform.models.build()
    assert payment["loan_external_id"] == "UGRO-LN-1"
    [record] = platform.table("CORE_QUARANTINE")
    assert record["replayed_as"] == payment["last_raw_id"] > first
    assert platform.replay(table).rows_read == 0
    assert [each["source_key"] for each in platform.models.build()] == [payment["source_key"]]


def test_a_file_that_repeats_rows_lands_them_all_and_core_decides(platform: Platform) -> None:
    """With a reference the rows are one payment; without one a person says whether they are."""
    result = platform.land(loan(1, "A"), loan(1, "A"), loan(2, ""), loan(2, ""))
    assert result.rows_landed == 4
    platform.run()
    assert platform.ledger() == [("DMI-APP-1", "500.00"), ("DMI-APP-2", "500.00")]
    assert [each["observations"] for each in platform.models.core()].count(2) == 1
    [hold] = platform.models.holds()
    assert hold["reason_code"] == "possible_duplicate"
